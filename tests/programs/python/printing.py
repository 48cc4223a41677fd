"""Everything that a step prints is in its log, line by line."""

import logging
import sys
import warnings

logging.basicConfig()
log = logging.getLogger(__name__)


# prints: one
# prints: two
# gives: 1
def lines():
    print("one")
    print("two", end="")
    return 1


# prints: out 1
# prints: err 1
# prints: out 2
# gives: null
def streams_keep_their_order():
    print("out 1")
    print("err 1", file=sys.stderr)
    print("out 2")


# prints: WARNING:printing:3 rows
# gives: null
def logging_works():
    log.warning("%s rows", 3)
    log.info("not at this level")


# prints: UserWarning: careful
# gives: null
def warnings_are_shown():
    warnings.warn("careful")


# prints: before
# fails: raised: ValueError: after
def what_was_printed_before_an_exception_stays():
    print("before", end="")
    raise ValueError("after")


# prints: héllo 𝄞
# gives: null
def text_of_any_script():
    print("héllo 𝄞")
