# Classes with impossible bases, method resolution orders and slots.
# gives: []
def evil(canary):
    doors = [
        lambda: type("X", (object, object), {}), lambda: type("X", (bool,), {}), lambda: type("X", (1,), {}),
        lambda: type("X", (), {"__slots__": ["a"] * 100_000 + [1]}), lambda: type("\0", (), {}), lambda: change_base(),
        lambda: type.__call__(type), lambda: object.__new__(int), lambda: int.__new__(str), lambda: type.__new__(type, 1, 2, 3),
    ]
    return [str(number) for number, door in enumerate(doors) if is_open(door)]


def change_base():
    class One:
        pass

    class Other(One):
        pass

    One.__bases__ = (Other,)


def is_open(door):
    try:
        door()
    except (TypeError, ValueError, AttributeError):
        return False
    return True
