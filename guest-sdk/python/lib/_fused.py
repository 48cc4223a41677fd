"""The stages of `[read | parse | chunk64]`, which run as one job: each is an iterator over the one before, and pulls its elements."""

import sys

import _bue_rows
from bue import Result, StepStatus, _event_loop, _explain, _loader

# The flag of `async def` functions with `yield`.
_ASYNC_GENERATOR = 0x200


def fuse(name, stages):
    """Import the code of stages, and return the function of their job.

    Each stage has a name, the path of its file, the first and the last line of inline code in the file or zeros, and a function.
    """
    return Fused(name, [_Stage(*stage) for stage in stages])


class _Stage:
    def __init__(self, name, path, first_line, last_line, function):
        module = _loader.load_part(path, first_line, last_line)
        self.name = name
        self.function = _loader.find(module, function)
        if not callable(self.function):
            # when the job runs: an exception here would be one of the import
            self.problem = _loader.explain_missing(module, function, self.function)
        else:
            self.problem = None

    def is_async(self):
        code = getattr(self.function, "__code__", None)
        return code is not None and bool(code.co_flags & _ASYNC_GENERATOR)

    def start(self, inputs, keywords):
        """Return the iterator over what the stage yields."""
        result = self.function(*inputs, **keywords)
        if hasattr(result, "__aiter__") or _is_iterable(result):
            return result
        raise TypeError(
            f"stage `{self.name}` returned {_explain.kind(result)}, and not an iterator: `yield` its elements one by one, or"
            " write a function of one element as `@bue.streams.each`"
        )


def _is_iterable(value):
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes, bytearray, memoryview, dict))


class Fused:
    """The function of the job. Its first input is iterated over, if there is one; the first stage gets the others as they are."""

    def __init__(self, name, stages):
        self.__name__ = name
        self.stages = stages

    def __call__(self, *inputs, **keywords):
        for stage in self.stages:
            if stage.problem is not None:
                raise AttributeError(stage.problem)
        return self._run(inputs, keywords)

    def _run(self, inputs, keywords):
        started, counters = [], []
        try:
            items = None
            for position, stage in enumerate(self.stages):
                if position > 0:
                    inputs = (_readable(items, stage),)
                elif inputs and stage.is_async():
                    inputs = (_Elements(inputs[0]), *inputs[1:])
                result = stage.start(inputs, keywords.get(str(position), {}))
                started.append(result)
                items, counter = _counted(result)
                counters.append(counter)
            yield from _event_loop.iterate(items) if hasattr(items, "__aiter__") else items
        except BaseException as error:
            if counters:
                error.add_note(f"elements: {self._counts(counters)}")
            raise
        finally:
            # from the last to the first, as if each had been used up by the next
            for result in reversed(started):
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        print(f"elements: {self._counts(counters)}", file=sys.stderr)
        return self._end(counters)

    def _counts(self, counters):
        return ", ".join(f"{stage.name} {counter.count}" for stage, counter in zip(self.stages, counters))

    def _end(self, counters):
        """What the job ends with: the answer of the first stage that returned one, or what the last stage returned."""
        for stage, counter in zip(self.stages, counters):
            end = counter.end
            if end is None:
                continue
            if stage is not self.stages[-1] and not _is_answer(end):
                raise TypeError(
                    f"stage `{stage.name}` returned {_explain.kind(end)} after its elements; yield it, or return a Result"
                )
            return end
        return None


def _is_answer(value):
    first = value[0] if isinstance(value, tuple) and value else value
    return isinstance(value, Result) or isinstance(first, StepStatus)


class _AsyncCounter:
    count = 0
    # an async generator returns nothing
    end = None


def _counted(result):
    """Return the same elements, and an object with how many were taken, and what the stage returned at its end."""
    if hasattr(result, "__aiter__"):
        counter = _AsyncCounter()
        return _counted_async(result, counter), counter
    items = _bue_rows.counted(result)
    return items, items


async def _counted_async(result, counter):
    async for item in result:
        counter.count += 1
        yield item


def _readable(items, stage):
    """What a stage gets: an iterator, and if it is asynchronous, one that `async for` accepts, too."""
    if hasattr(items, "__aiter__"):
        return items if stage.is_async() else _event_loop.iterate(items)
    return _Elements(items) if stage.is_async() else items


class _Elements:
    """An iterator for `for` and for `async for`."""

    def __init__(self, items):
        self._items = iter(items)

    def __iter__(self):
        return self._items

    def __next__(self):
        return next(self._items)

    def __aiter__(self):
        return self

    async def __anext__(self):
        for item in self._items:
            return item
        raise StopAsyncIteration


def rows():
    """The elements of the first input, of which only a few are objects at a time."""
    while True:
        batch = _bue_rows.next_batch()
        if batch is None:
            return
        yield from batch
