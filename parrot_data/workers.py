"""Work shared out over processes that never outlive their parent, and never keep it waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar, cast

from parrot_data.errors import UserError
from parrot_data.interruption import ENDING

_Item = TypeVar("_Item")

# Works on one item; calls `tick` whenever a part of it is done.
Work = Callable[[_Item, Callable[[], None]], None]
# Opens what the work needs (a simulator, say), inside the worker, and closes it in the end.
Start = Callable[[], AbstractContextManager[Work[_Item]]]
# Processes by our end of the pipe to each.
Crew = dict[Connection, SpawnProcess]


def share_out(
    start: Start[_Item],
    items: Sequence[_Item],
    num_workers: int,
    tick: Callable[[], None],
    *,
    apart: bool = False,
) -> None:
    """Have every item worked on, by at most `num_workers` processes (by this one if that is 1).

    Whatever ends this call, an interrupt too, its processes are gone when it returns. Should this
    process be killed, they end themselves.

    Args:
        start: makes each worker's context, which gives what works on an item; picklable.
        items: what to work on; each goes to one worker, in order; picklable.
        num_workers: bound on the number of processes.
        tick: called in this process for every tick of any worker.
        apart: never by this process, though it were by one alone.

    Raises:
        UserError: a worker raised it, or a worker was killed from outside.
        OSError: a worker raised it: its disk is full, say.
        RuntimeError: a worker raised anything else; it holds the worker's traceback.
    """
    if not items:
        return
    if num_workers == 1 and not apart:
        with start() as work:
            for item in items:
                work(item, tick)
        return
    pending, crew = deque(items), Crew()
    try:
        for _ in range(min(num_workers, len(items))):
            hire(crew, _labour, start)
        while crew:
            for pipe in cast(list[Connection], wait(list(crew))):
                _answer(pipe, crew, pending, tick)
    finally:
        dismiss(crew)


def hire(crew: Crew, labour: Callable[..., None], *arguments: Any) -> None:
    """Add a process to the crew that calls `labour(pipe, *arguments)`; all of it is picklable.

    It ends with `labour`, with this process, or when it is dismissed. A closed pipe ends it quietly
    and what `labour` raises is raised by `hear`.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_live, args=(labour, theirs, *arguments), daemon=True)
    with signals_blocked_in_children():
        process.start()
        crew[ours] = process
    # With our copy of the worker's end closed, its death reads as the end of the pipe.
    theirs.close()


@contextmanager
def signals_blocked_in_children() -> Iterator[None]:
    """Start processes in here that do not answer signals that ask to end.

    These often go to the whole process group (Ctrl-C, a hang-up, `timeout`): only this process is
    to answer.
    """
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        resource_tracker.ensure_running()
        # Its own start lifts the block of all but the hang-up, hence a second one
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def dismiss(crew: Crew) -> None:
    """End every process of a crew, whatever it is doing."""
    for process in crew.values():
        process.kill()
    for process in crew.values():
        process.join()


def tell(pipe: Connection, crew: Crew, message: Any) -> None:
    """Send a message to a process of the crew.

    Raises:
        UserError: it was killed.
    """
    try:
        pipe.send(message)
    except OSError:
        raise _death(crew[pipe]) from None


def hear(pipe: Connection, crew: Crew) -> str:
    """Wait for the next word of a process of the crew.

    Raises:
        UserError: it raised one, or it was killed.
        OSError: it raised one.
        RuntimeError: it raised anything else.
    """
    try:
        kind, text = pipe.recv()
    except (EOFError, OSError):
        raise _death(crew[pipe]) from None
    if kind == "user_error":
        raise UserError(text)
    if kind == "system":
        raise OSError(*text)
    if kind == "defect":
        raise RuntimeError(f"a worker failed:\n{text}")
    return str(text)


def say(pipe: Connection, word: str) -> None:
    """In a process of a crew: let `hear` return this word."""
    pipe.send(("word", word))


def _death(process: SpawnProcess) -> UserError:
    process.join()
    return UserError(
        f"A worker process died (exit code {process.exitcode}; -9 often means that memory "
        "ran out): run the same command again to resume, perhaps with fewer workers."
    )


def _answer(pipe: Connection, crew: Crew, pending: deque[_Item], tick: Callable[[], None]) -> None:
    """Take one message from a worker and give it its next item, or let it go home."""
    if hear(pipe, crew) == "tick":
        tick()
    elif pending:
        tell(pipe, crew, pending.popleft())
    else:
        pipe.close()
        crew.pop(pipe).join()


def _labour(pipe: Connection, start: Start[_Item]) -> None:
    """A worker's life: say "idle", receive an item, work on it, until the pipe closes."""
    with start() as work:
        while True:
            say(pipe, "idle")
            work(pipe.recv(), lambda: say(pipe, "tick"))


def _live(labour: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    end_with_parent()
    try:
        labour(pipe, *arguments)
    except (EOFError, BrokenPipeError):
        return
    except UserError as error:
        pipe.send(("user_error", str(error)))
    except OSError as error:
        pipe.send(("system", (error.errno, error.strerror, error.filename)))
    except Exception:  # noqa: BLE001 - whatever it is, it is raised again in the parent
        pipe.send(("defect", traceback.format_exc()))


def end_with_parent() -> None:
    """In a process that multiprocessing started: end as soon as its parent does."""
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
