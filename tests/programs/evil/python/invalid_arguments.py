# Calls the network functions with invalid arguments.
# gives: []
import _bue_net as net


def evil(canary):
    doors = [
        lambda: net.start(), lambda: net.start(1, 2, 3, 4), lambda: net.start("GET", "http://a", "/", [1]),
        lambda: net.start("GET", "http://a", "/", [("x",)]), lambda: net.start("GET", "http://a", "/", [(1, 2)]),
        lambda: net.start("\ud800", "http://a", "/", []), lambda: net.wait([-1]), lambda: net.wait([2**64]), lambda: net.wait(None),
        lambda: net.wait(["x"]), lambda: net.close(-1), lambda: net.read("x"), lambda: net.write(1, None, True), lambda: net.secret(1),
        lambda: net.start("GET", "http://a", "/", {}), lambda: net.start("GET", "http://a", "/", [], object()),
    ]
    return [str(number) for number, door in enumerate(doors) if is_open(door)]


def is_open(door):
    try:
        door()
    except Exception:
        return False
    return True
