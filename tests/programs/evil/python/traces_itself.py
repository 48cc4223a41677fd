# Installs a trace function that never returns. The functions to install one are missing.
# with: time_ms=250
# fails: …
import sys
import threading


def evil(canary):
    for install in (sys.settrace, sys.setprofile, threading.settrace, sys.addaudithook):
        install(for_ever)
    sys.monitoring.use_tool_id(0, "evil")
    return evil(canary)


def for_ever(*event):
    while True:
        pass
