"""The steps of the report pipeline, with what comes with Python. `requests` does the same in fewer lines."""

import json
import urllib.error
import urllib.request

from bue import Result, StepStatus

API = "http://API"


def ask(method, path):
    request = urllib.request.Request(API + path, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def accounts():
    """The accounts to report on, page by page: a loop begins with the first while the second is fetched."""
    page, more = 1, True
    while more:
        said = ask("GET", f"/accounts?page={page}")
        yield from said["accounts"]
        page, more = page + 1, said["more"]


def request_report(account):
    """Asks for a report. Too many requests are tried again when the API says: that is what Retry-After is for."""
    try:
        said = ask("POST", f"/accounts/{account['id']}/reports")
    except urllib.error.HTTPError as error:
        if error.code != 429:
            raise
        return Result(status=StepStatus.pending, delay=float(error.headers["Retry-After"]))
    return {"account": account, "report": said["report"]}


def get_status(config):
    """Asks whether the report is ready. Until it is, this job waits without holding a worker."""
    try:
        said = ask("GET", f"/reports/{config['report']}")
    except urllib.error.HTTPError as error:
        if error.code != 410:
            raise
        print(f"the report of {config['account']['name']} was lost: starting again")
        return Result(status=StepStatus.reset)
    if said["state"] != "ready":
        return Result(status=StepStatus.pending, delay=0.5)
    return config


def get_report(config):
    """Downloads the rows. An error of the server fails the attempt, and the step is retried."""
    return ask("GET", f"/reports/{config['report']}/rows")["rows"]


def transform_data(rows):
    for row in rows:
        row["acos"] = round(row["acos"], 4)
        row["cost_per_click"] = round(row["spend"] / row["clicks"], 4)
    return rows


def upload_to_db(rows):
    return {"account": rows[0]["account"], "rows": len(rows), "sales": sum(row["sales"] for row in rows)}
