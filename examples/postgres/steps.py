"""The rows for the database."""

from decimal import Decimal


def orders():
    return [
        {"customer": "Ada", "amount": Decimal("60.50")},
        {"customer": "Grace", "amount": Decimal("35")},
        {"customer": "Ada", "amount": Decimal("70.25")},
    ]
