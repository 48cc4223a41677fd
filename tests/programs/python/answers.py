"""All outcomes of a step."""

import datetime

import bue
import step
from buelon.core.step import Result, StepStatus


# gives: null
def nothing_is_a_result():
    pass


# gives: null
def an_empty_result_is_success():
    return Result()


# gives: [1]
# priority: 5
# env: {"token": [1, "x"]}
def a_result_passes_things_on():
    return Result(status=StepStatus.success, data=[1], priority=5, env={"token": (1, "x")})


# gives: [1]
# scope: gpu
def a_result_chooses_a_scope():
    return Result(data=[1], scope=" gpu ")


# answers: pending 500
# scope: gpu
def pending_chooses_a_scope():
    return Result(status=StepStatus.pending, delay=0.5, scope="gpu")


# answers: pending
# scope: here
def of_two_scopes_pending_takes_its_own():
    return Result(status=StepStatus.pending, self_scope="here", next_scope="there")


# gives: null
# scope: there
def of_two_scopes_dependants_get_the_next():
    return Result(self_scope="here", next_scope="there")


# fails: bad_result: a scope is a text, such as `scope="gpu"`, not 5
def a_scope_that_is_a_number():
    return Result(scope=5)


# fails: bad_result: a scope is a text, such as `scope="gpu"`, not ''
def a_scope_without_letters():
    return Result(status=StepStatus.pending, scope="")


# answers: pending 1500
def pending_with_a_delay():
    return Result(status=StepStatus.pending, delay=1.5)


# answers: pending 120000
def a_delay_may_be_a_timedelta():
    return Result(StepStatus.pending, delay=datetime.timedelta(minutes=2))


# answers: pending
def a_bare_status_is_an_answer():
    return StepStatus.pending


# answers: pending
def a_status_may_be_its_name():
    return Result(status="pending")


# answers: reset
def a_status_may_be_its_number():
    return Result(status=5)


# answers: reset 2000
def reset():
    return Result(status=StepStatus.reset, delay=2)


# answers: cancelled
def cancel():
    return bue.Result(bue.StepStatus.cancel)


# fails: raised: the report is gone
def error_takes_its_message_from_data():
    return Result(status=StepStatus.error, data="the report is gone")


# fails: raised: the step returned error without a message (data=…)
def error_without_a_message():
    return Result(status=StepStatus.error)


# fails: bad_result: `queued` is not an answer of a step; return success, pending, reset, cancel or error
def queued_is_no_answer():
    return Result(status=StepStatus.queued)


# fails: bad_result: `working` is not an answer of a step; return success, pending, reset, cancel or error
def working_is_no_answer():
    return StepStatus.working, 1


# fails: bad_result: `unknown` is not an answer of a step; return success, pending, reset, cancel or error
def unknown_is_no_answer():
    return StepStatus.unknown


# gives: null
def a_tuple_of_one():
    return (StepStatus.success,)


# gives: 5
def a_tuple_of_two():
    return StepStatus.success, 5


# gives: 6
# env: {"e": 1}
def a_tuple_of_three():
    return StepStatus.success, {"e": 1}, 6


# answers: pending
def a_tuple_of_four():
    return step.StepStatus.pending, {"e": 1}, 3, 6


# gives: 7
# priority: 3
# env: {"e": 1}
def a_tuple_of_five():
    return StepStatus.success, {"e": 1}, 3, 9.5, 7


# fails: bad_result: a tuple that begins with a StepStatus has at most 5 elements (status, env, priority, velocity, data); this one has 6. Return Result(status=…, data=…)
def a_tuple_of_six():
    return StepStatus.success, 1, 2, 3, 4, 5


# fails: bad_result: result[0] is an instance of bue.Result, which cannot travel between steps; return it by itself, not inside another value
def a_result_inside_a_value():
    return [Result()]


# fails: bad_result: a delay is a number of seconds from 0 to 3153600000, not -1
def a_negative_delay():
    return Result(status="pending", delay=-1)


# fails: bad_result: a delay is a number of seconds from 0 to 3153600000, not inf
def an_endless_delay():
    return Result(status="pending", delay=float("inf"))


# fails: bad_result: a delay is a number of seconds from 0 to 3153600000, not 'soon'
def a_delay_that_is_a_text():
    return Result(status="pending", delay="soon")


# fails: bad_result: 'nope' is not a status; use one of bue.StepStatus
def an_unknown_status():
    return Result(status="nope")


# fails: bad_result: a priority is a 64-bit integer, not 'high'
def a_priority_that_is_a_text():
    return Result(priority="high")


# fails: bad_result: the env of a Result is a dict, not a list
def an_env_that_is_a_list():
    return Result(env=[1])


# fails: bad_result: env.x is a function, which cannot travel between steps; call it, and return its result
def an_env_that_cannot_travel():
    return Result(env={"x": print})


# fails: limit: the env of the Result is larger than 65536 bytes, the limit; pass large values as data
def an_env_that_is_too_large():
    return Result(env={"x": "y" * 70_000})
