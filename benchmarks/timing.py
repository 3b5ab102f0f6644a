"""Ours and the rival, measured in turn, so that what slows the machine slows both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

Clock = Callable[[], float]  # s, such as time.process_time (one core) or time.perf_counter
Subject = Callable[[], object]


def interleaved(
    subjects: Sequence[Subject], calls: Sequence[int], rounds: int, clock: Clock
) -> list[float]:
    """Measure subjects in turn, in every other round in the opposite order.

    A machine that grows slower while it is measured (heat, a neighbour) would otherwise always
    harm the one that comes last.

    Args:
        subjects: what to call.
        calls: how often to call each in a round.
        rounds: how often each has its turn.
        clock: what the time is read from.

    Returns:
        Seconds a call of each subject, the median of its rounds.
    """
    seconds: list[list[float]] = [[] for _ in subjects]
    for number in range(rounds):
        order = range(len(subjects))
        for place in order if number % 2 == 0 else reversed(order):
            seconds[place].append(_seconds_a_call(subjects[place], calls[place], clock))
    return [median(of_subject) for of_subject in seconds]


def warmed_up(subject: Subject, round_s: float, clock: Clock) -> int:
    """Call a subject twice; how many more calls fill a round, one at least.

    The first call pays for what is made only once; the second tells the pace.
    """
    subject()
    pace = _seconds_a_call(subject, 1, clock)
    return max(1, math.ceil(round_s / pace)) if pace > 0.0 else 1


def _seconds_a_call(subject: Subject, calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        subject()
    return (clock() - start) / calls
