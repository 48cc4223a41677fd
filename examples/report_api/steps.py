"""The steps of the report pipeline, with `requests`, a session with retries, and results that make the job wait."""

import requests
from bue import Result, StepStatus
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

API = "http://127.0.0.1:8700"

session = requests.Session()
# the session retries server errors, and requests over the rate limit after the delay in Retry-After
session.mount("http://", HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[429, 500], allowed_methods=None)))


def request(method, path, **options):
    response = session.request(method, API + path, timeout=30, **options)
    response.raise_for_status()
    return response.json()


def accounts():
    """Yields the accounts page by page: reports of the first page are requested while the second is fetched."""
    page, more = 1, True
    while more:
        answer = request("GET", "/accounts", params={"page": page})
        yield from answer["accounts"]
        page, more = page + 1, answer["more"]


def request_report(account):
    return {"account": account, "report": request("POST", f"/accounts/{account['id']}/reports")["report"]}


def get_status(config):
    """Until the report is ready, the job waits without occupying a worker. A lost report is requested again."""
    try:
        report = request("GET", f"/reports/{config['report']}")
    except requests.HTTPError as error:
        if error.response.status_code != 410:
            raise
        return Result(status=StepStatus.reset)
    if report["state"] != "ready":
        return Result(status=StepStatus.pending, delay=0.5)
    return config


def get_report(config):
    return request("GET", f"/reports/{config['report']}/rows")["rows"]
