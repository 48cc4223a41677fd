NAME = "helper"


def fail():
    raise ValueError("from helper")
