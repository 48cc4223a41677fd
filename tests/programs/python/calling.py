"""How functions are called."""

import functools

import bue
from bue import env


# given: 1, "a", [2]
# gives: [1, "a", [2]]
def inputs_come_in_order(*inputs):
    return list(inputs)


# gives: []
def a_root_is_called_with_nothing(*inputs):
    return list(inputs)


# given: 5
# gives: {"x": 5}
def mut_is_a_fresh_dict(a, mut):
    assert mut == {}
    mut["x"] = a
    return mut


# given: 1, 2
# gives: [[1, 2], {}]
def mut_may_be_keyword_only(*inputs, mut):
    return [list(inputs), mut]


def noisy(function):
    @functools.wraps(function)
    def wrapper(*args, **keywords):
        return function(*args, **keywords)

    return wrapper


# gives: {}
@noisy
def mut_is_found_under_a_decorator(mut):
    return mut


# reads: {"token": [1]}
# gives: [{"token": [1]}, true]
def env_is_what_earlier_steps_passed_on():
    return [env, bue.env is env]


# gives: {}
def env_is_empty_if_no_step_passed_it_on():
    return bue.env


class Reports:
    @staticmethod
    def double(x):
        return x * 2


# calls: Reports.double
# given: 4
# gives: 8
def a_function_may_stand_in_a_class():
    pass


# calls: Reports.triple
# fails: bad_code: function `Reports.triple` not found in calling.py; it has: …
def a_missing_method():
    pass


# calls: inputs_come_in_oder
# fails: bad_code: function `inputs_come_in_oder` not found in calling.py; it has: inputs_come_in_order, …
def a_missing_function():
    pass


# calls: env
# fails: bad_code: `env` in calling.py is a map, not a function
def what_is_no_function():
    pass


# given: 1
# fails: raised: TypeError: needs_two() missing 1 required positional argument: 'b'. The step was given 1 input
# calls: needs_two
def too_few_inputs():
    pass


def needs_two(a, b):
    return a + b


# given: 1, 2, 3
# fails: raised: TypeError: needs_two() takes 2 positional arguments but 3 were given. The step was given 3 inputs
# calls: needs_two
def too_many_inputs():
    pass


# gives: "calling"
def the_module_is_not_main():
    return __name__
