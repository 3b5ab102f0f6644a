"""Laws of measuring in turn: who comes when, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from benchmarks.timing import interleaved, warmed_up


class FakeClock:
    """Time passes only while a subject works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def subject(self, name: str, *seconds: float) -> Callable[[], None]:
        """Takes each of the durations in turn, then the last one for ever."""
        durations = list(seconds)

        def work() -> None:
            self.calls.append(name)
            self.now += durations.pop(0) if len(durations) > 1 else durations[0]

        return work


def test_subjects_take_turns_and_the_order_turns_round_every_time() -> None:
    clock = FakeClock()
    interleaved([clock.subject(name, 1.0) for name in "abc"], [1, 1, 1], 4, clock)
    assert "".join(clock.calls) == "abccbaabccba"


def test_no_subject_is_measured_twice_before_the_others_were_once() -> None:
    clock = FakeClock()
    interleaved([clock.subject(name, 1.0) for name in "ab"], [1, 1], 5, clock)
    rounds = ["".join(clock.calls[i : i + 2]) for i in range(0, 10, 2)]
    assert all(sorted(one) == ["a", "b"] for one in rounds)
    assert all(one != other for one, other in pairwise(rounds))


def test_the_median_of_the_rounds_counts_so_one_slow_round_does_not() -> None:
    clock = FakeClock()
    subjects = [clock.subject("a", 1.0, 50.0, 1.0), clock.subject("b", 2.0)]
    assert interleaved(subjects, [1, 1], 3, clock) == [1.0, 2.0]


def test_seconds_are_a_calls_whatever_the_number_of_calls() -> None:
    clock = FakeClock()
    subjects = [clock.subject("a", 0.25), clock.subject("b", 4.0)]
    assert interleaved(subjects, [8, 1], 2, clock) == [0.25, 4.0]
    assert clock.calls.count("a") == 16


@pytest.mark.parametrize(("round_s", "calls"), [(0.0, 1), (0.1, 1), (1.0, 2), (1.2, 3)])
def test_the_second_call_tells_how_many_fill_a_round(round_s: float, calls: int) -> None:
    clock = FakeClock()
    assert warmed_up(clock.subject("a", 100.0, 0.5), round_s, clock) == calls


def test_a_call_too_short_for_the_clock_is_called_once() -> None:
    clock = FakeClock()
    assert warmed_up(clock.subject("a", 0.0), 1.0, clock) == 1
