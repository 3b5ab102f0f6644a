"""A signal that asks to end waits for the work, is never lost, and is left as it was found."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from parrot_data.interruption import ENDING, Interrupted, held_back


@pytest.fixture(autouse=True)
def answered() -> Iterator[None]:
    """A shell that runs the tests in the background has them ignore Ctrl-C."""
    before = {signum: signal.signal(signum, signal.default_int_handler) for signum in ENDING}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", ENDING)
def test_a_signal_waits_until_work_can_be_left(signum: int) -> None:
    done = []

    def work() -> None:
        with held_back() as signals:
            for step in range(5):
                if step == 2:
                    signal.raise_signal(signum)
                done.append(step)
                signals.release(f"step {step}")

    with pytest.raises(Interrupted) as raised:
        work()
    assert done == [0, 1, 2]
    assert (raised.value.signum, raised.value.where) == (signum, "step 2")
    assert raised.value.args == (signum, "step 2")


@pytest.mark.parametrize("signum", ENDING)
def test_a_signal_that_was_not_released_is_raised_at_the_end(signum: int) -> None:
    def work() -> None:
        with held_back() as signals:
            assert not signals
            signal.raise_signal(signum)
            assert signals

    with pytest.raises(Interrupted, match=str(int(signum))):
        work()


def test_whoever_asks_twice_is_not_kept_waiting() -> None:
    def work() -> None:
        with held_back():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("the second signal waited")

    with pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.signum == signal.SIGTERM


def test_an_error_of_the_work_is_not_hidden() -> None:
    def work() -> None:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_handlers_are_left_as_they_were_and_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = [signal.getsignal(signum) for signum in ENDING]
    with held_back() as signals:
        signal.raise_signal(signal.SIGHUP)  # as under nohup
        assert not signals
    assert [signal.getsignal(signum) for signum in ENDING] == before


def test_in_another_thread_nothing_is_held_back() -> None:
    found = []

    def work() -> None:
        with held_back() as signals:
            found.append(bool(signals))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
