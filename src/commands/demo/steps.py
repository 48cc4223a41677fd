"""The steps of the report pipeline, using only the standard library. `requests` does the same in fewer lines."""

import json
import urllib.error
import urllib.request

from bue import Result, StepStatus

API = "http://API"


def call_api(method, path):
    request = urllib.request.Request(API + path, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def accounts():
    """Yields the accounts, page by page: the loop starts with the first page while the second is fetched."""
    page, more = 1, True
    while more:
        answer = call_api("GET", f"/accounts?page={page}")
        yield from answer["accounts"]
        page, more = page + 1, answer["more"]


def request_report(account):
    """Requests a report. When the API limits requests, the job waits as long as Retry-After says."""
    try:
        answer = call_api("POST", f"/accounts/{account['id']}/reports")
    except urllib.error.HTTPError as error:
        if error.code != 429:
            raise
        return Result(status=StepStatus.pending, delay=float(error.headers["Retry-After"]))
    return {"account": account, "report": answer["report"]}


def get_status(config):
    """Checks whether the report is ready. Until it is, this job waits without occupying a worker."""
    try:
        answer = call_api("GET", f"/reports/{config['report']}")
    except urllib.error.HTTPError as error:
        if error.code != 410:
            raise
        print(f"the report of {config['account']['name']} was lost: starting again")
        return Result(status=StepStatus.reset)
    if answer["state"] != "ready":
        return Result(status=StepStatus.pending, delay=0.5)
    return config


def get_report(config):
    """Downloads the rows. A server error fails the attempt, and the step is retried."""
    return call_api("GET", f"/reports/{config['report']}/rows")["rows"]


def transform_data(rows):
    for row in rows:
        row["acos"] = round(row["acos"], 4)
        row["cost_per_click"] = round(row["spend"] / row["clicks"], 4)
    return rows


def upload_to_db(rows):
    return {"account": rows[0]["account"], "rows": len(rows), "sales": sum(row["sales"] for row in rows)}
