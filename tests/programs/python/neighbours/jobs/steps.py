"""Steps that use all forms of imports."""

import calendar

import helper
import jobs.other
import shared.inner
import top

from . import sibling
from .pkg import deep
from .pkg.deep import value


# gives: ["jobs.steps", "jobs/steps.py", "jobs", "helper", "jobs/helper.py"]
def names():
    return [__name__, __file__, __package__, helper.__name__, helper.__file__]


# gives: ["helper", "other", "sibling", 7, 7, "top", "inner", "my own calendar"]
def what_was_imported():
    return [helper.NAME, jobs.other.NAME, sibling.NAME, deep.value, value, top.NAME, shared.inner.NAME, calendar.NAME]


# fails: raised: ValueError: from helper
# trace:   File "jobs/helper.py", line 5, in fail
# trace:     raise ValueError("from helper")
# at: 1
def neighbours_are_in_tracebacks():
    helper.fail()


# gives: 3
def imports_inside_functions():
    import late

    return late.NUMBER


# fails: raised: ModuleNotFoundError: No module named 'nothing_like_it'. …
def imports_that_fail_later():
    import nothing_like_it
