"""Progress counts this run's own work, and says how long it will take."""

from __future__ import annotations

import pytest

from cli.progress import RATE_WINDOW_S, Rate, show_progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_is_units_over_seconds() -> None:
    clock = Clock()
    rate = Rate(clock)
    for done in range(5):
        rate.update(done * 10, 100)
        clock.now += 2.0
    assert rate.per_second == pytest.approx(5.0)
    assert str(rate) == "5.0/s, 0:00:12 left"


def test_work_found_done_is_not_counted() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.update(900, 1000)
    assert rate.per_second is None
    clock.now = 10.0
    rate.update(910, 1000)
    assert rate.per_second == pytest.approx(1.0)
    assert str(rate).endswith("0:01:30 left")


def test_old_speed_is_forgotten() -> None:
    clock = Clock()
    rate = Rate(clock)
    done = 0
    for second in range(int(3 * RATE_WINDOW_S)):
        done += 100 if second < RATE_WINDOW_S else 1
        clock.now = float(second)
        rate.update(done, 100_000)
    assert rate.per_second == pytest.approx(1.0)


@pytest.mark.parametrize(("done", "total"), [(3, 100), (60, 200)])
def test_a_new_phase_starts_anew(done: int, total: int) -> None:
    clock = Clock()
    rate = Rate(clock)
    for step in (0, 50):
        rate.update(step, 100)
        clock.now += 1.0
    rate.update(done, total)
    assert rate.per_second is None


def test_slow_work_is_told_in_seconds_a_unit() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.update(0, 10)
    clock.now = 40.0
    rate.update(1, 10)
    assert str(rate) == "40.0 s each, 0:06:00 left"


def test_a_log_gets_first_and_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("steps") as progress:
        for done in range(1001):
            progress(done, 1000, "noted")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "steps 0/1000, noted"
    assert lines[-1].startswith("steps 1000/1000, ")
    assert len(lines) < 10
