"""The steps of the report pipeline.

The report service is simulated: a report takes a moment until it is ready, and occasionally the service loses it. The rows of a
report depend only on the account, so every run has the same result.
"""

import logging
import random
import time
import uuid
from typing import Any, Dict, List, Union

from buelon.core.step import Result, StepStatus

logging.basicConfig(level=logging.INFO, format='%(levelname)s - %(message)s')
logger = logging.getLogger(__name__)

Row = Dict[str, Any]


def accounts(*args) -> List[Row]:
    """Returns the accounts."""
    account_list = [{'id': number, 'name': f'Account {number + 1}'} for number in range(36)]
    logger.info(f'Retrieved {len(account_list)} accounts')
    return account_list


def request_report(account: Row) -> Dict[str, Any]:
    """Requests a report. The service returns an id at once; the report itself takes a while."""
    request = {
        'report_id': uuid.uuid4(),
        'ready_at': time.time() + random.uniform(0.8, 2.0),
    }
    logger.info(f"Requested report {request['report_id']} for {account['name']}")
    return {'account': account, 'request': request}


def get_status(config: Dict[str, Any]) -> Union[Dict[str, Any], Result]:
    """Checks whether the report is ready. If not, the job waits without occupying a worker."""
    if time.time() < config['request']['ready_at']:
        return Result(status=StepStatus.pending, delay=0.4)
    logger.info(f"Report {config['request']['report_id']} is ready")
    return config


def get_report(config: Dict[str, Any]) -> Union[List[Row], Result]:
    """Downloads the report: a list of rows, the input of the SQL step."""
    account = config['account']
    if random.randint(0, 7) == 0:
        logger.warning(f"The service lost the report of {account['name']}: starting again with a new request")
        return Result(status=StepStatus.reset, delay=0.2)
    rows = report_rows(account)
    logger.info(f"Downloaded {len(rows)} rows for {account['name']}")
    return rows


def report_rows(account: Row) -> List[Row]:
    """Returns the rows that the service sends for an account."""
    generator = random.Random(account['id'])
    return [
        {
            'account': account['name'],
            'day': day,
            'sales': generator.randint(0, 500),
            'spend': generator.randint(1, 100),
            'clicks': generator.randint(5, 900),
        }
        for day in range(1, generator.randint(25, 100))
    ]


def transform_data(rows: List[Row]) -> List[Row]:
    """Rounds a column that SQL computed, and adds the cost per click."""
    for row in rows:
        row['acos'] = round(row['acos'], 4)
        row['cost_per_click'] = round(row['spend'] / row['clicks'], 4)
    return rows


def upload_to_db(rows: List[Row]) -> Row:
    """Loads the rows; returns a summary."""
    loaded = {
        'account': rows[0]['account'],
        'rows': len(rows),
        'sales': sum(row['sales'] for row in rows),
        'spend': sum(row['spend'] for row in rows),
        'highest_acos': max(row['acos'] for row in rows),
    }
    logger.info(f"Uploaded {loaded['rows']} rows for {loaded['account']}")
    return loaded


if __name__ == '__main__':
    # `python3 example.py`: submits the script to the hub that `bue serve` runs, waits, and prints the results
    import sys

    import bue

    script = sys.argv[1] if len(sys.argv) > 1 else 'example.bue'
    # the script has one result: the list of the loop
    [summaries] = bue.Hub().upload(script).wait().results()
    for summary in summaries:
        print(summary)
