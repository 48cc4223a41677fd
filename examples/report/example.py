"""The steps of the report pipeline.

The report service they talk to is made up: a report takes a moment until it is ready, and now and then the service has
forgotten it. The rows of a report depend on the account alone, so every run ends with the same result.
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
    """The accounts to report on."""
    account_list = [{'id': number, 'name': f'Account {number + 1}'} for number in range(36)]
    logger.info(f'Retrieved {len(account_list)} accounts')
    return account_list


def request_report(account: Row) -> Dict[str, Any]:
    """Asks the service for a report. It answers with an id at once; the report itself takes a while."""
    request = {
        'report_id': uuid.uuid4(),
        'ready_at': time.time() + random.uniform(0.8, 2.0),
    }
    logger.info(f"Requested report {request['report_id']} for {account['name']}")
    return {'account': account, 'request': request}


def get_status(config: Dict[str, Any]) -> Union[Dict[str, Any], Result]:
    """Asks whether the report is ready. Until it is, this job waits without holding a worker."""
    if time.time() < config['request']['ready_at']:
        return Result(status=StepStatus.pending, delay=0.4)
    logger.info(f"Report {config['request']['report_id']} is ready")
    return config


def get_report(config: Dict[str, Any]) -> Union[List[Row], Result]:
    """Downloads the report: a list of rows, which is what the SQL step after it takes."""
    account = config['account']
    if random.randint(0, 7) == 0:
        logger.warning(f"The service lost the report of {account['name']}: starting again with a new request")
        return Result(status=StepStatus.reset, delay=0.2)
    rows = report_rows(account)
    logger.info(f"Downloaded {len(rows)} rows for {account['name']}")
    return rows


def report_rows(account: Row) -> List[Row]:
    """What the service would send for an account."""
    chance = random.Random(account['id'])
    return [
        {
            'account': account['name'],
            'day': day,
            'sales': chance.randint(0, 500),
            'spend': chance.randint(1, 100),
            'clicks': chance.randint(5, 900),
        }
        for day in range(1, chance.randint(25, 100))
    ]


def transform_data(rows: List[Row]) -> List[Row]:
    """Rounds what SQL computed and adds the cost of a click. Returns the rows for the step after it."""
    for row in rows:
        row['acos'] = round(row['acos'], 4)
        row['cost_per_click'] = round(row['spend'] / row['clicks'], 4)
    return rows


def upload_to_db(rows: List[Row]) -> Row:
    """Loads the rows, and returns what was loaded."""
    loaded = {
        'account': rows[0]['account'],
        'rows': len(rows),
        'sales': sum(row['sales'] for row in rows),
        'spend': sum(row['spend'] for row in rows),
        'highest_acos': max(row['acos'] for row in rows),
    }
    logger.info(f"Uploaded {loaded['rows']} rows for {loaded['account']}")
    return loaded
