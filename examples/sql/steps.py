"""The rows for the SQL steps, and a summary of their result."""


def orders(*args):
    return [
        {"id": 1, "customer": 1, "amount": 60},
        {"id": 2, "customer": 2, "amount": 35},
        {"id": 3, "customer": 1, "amount": 70},
        {"id": 4, "customer": 3, "amount": 100},
    ]


def customers(*args):
    return [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}, {"id": 3, "name": "Edsger"}]


def as_text(rows):
    return ", ".join(f"{row['name']} {row['spent']}" for row in rows)
