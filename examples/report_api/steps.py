"""The steps of the report pipeline: plain requests, a session with retries, and answers where waiting is better."""

import requests
from bue import Result, StepStatus
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

API = "http://127.0.0.1:8700"

session = requests.Session()
# errors of the server are tried again by the session; too many requests too, when Retry-After says
session.mount("http://", HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[429, 500], allowed_methods=None)))


def ask(method, path, **options):
    response = session.request(method, API + path, timeout=30, **options)
    response.raise_for_status()
    return response.json()


def accounts():
    """The accounts, page by page: reports of the first are asked for while the second is fetched."""
    page, more = 1, True
    while more:
        said = ask("GET", "/accounts", params={"page": page})
        yield from said["accounts"]
        page, more = page + 1, said["more"]


def request_report(account):
    return {"account": account, "report": ask("POST", f"/accounts/{account['id']}/reports")["report"]}


def get_status(config):
    """Until the report is ready, the job waits without holding a worker; a lost one is asked for again."""
    try:
        said = ask("GET", f"/reports/{config['report']}")
    except requests.HTTPError as error:
        if error.response.status_code != 410:
            raise
        return Result(status=StepStatus.reset)
    if said["state"] != "ready":
        return Result(status=StepStatus.pending, delay=0.5)
    return config


def get_report(config):
    return ask("GET", f"/reports/{config['report']}/rows")["rows"]
