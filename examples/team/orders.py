from datetime import date


def orders():
    """Returns the orders of a month, as an API would."""
    cities = ["Ghent", "Lyon", "Porto", "Turin"]
    print("reading the orders")
    return [
        {
            "city": cities[day % 4],
            "day": date(2026, 9, day),
            "amount": day * 7 % 50 + 0.25,
        }
        for day in range(1, 31)
    ]
