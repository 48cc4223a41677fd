"""The steps of the loops pipeline: regions with shops, shops with sales."""

SHOPS = {"north": [11, 12, 13], "east": [], "south": [31, 32]}


def regions(*args):
    return list(SHOPS)


def north(*args):
    return "north"


def shops(region):
    """A generator: the loop starts its first rounds while the generator is still running."""
    for number in SHOPS[region]:
        yield {"region": region, "number": number}


def sales(shop):
    return {**shop, "sales": [shop["number"] * factor for factor in (1, 2, 3)]}


def total(shop):
    return {"shop": shop["number"], "total": sum(shop["sales"])}


def best(totals):
    return max(totals, key=lambda each: each["total"])


def compare(winner, names):
    return f"shop {winner['shop']} sold {winner['total']}, the most in the first of {len(names)} regions"
