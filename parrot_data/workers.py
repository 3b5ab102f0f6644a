"""Work shared out over processes that never outlive their parent, and never keep it waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TypeVar, cast

from parrot_data.errors import UserError

_Item = TypeVar("_Item")

# Works on one item; calls `tick` whenever a part of it is done.
Work = Callable[[_Item, Callable[[], None]], None]
# Opens what the work needs (a simulator, say), inside the worker, and closes it in the end.
Start = Callable[[], AbstractContextManager[Work[_Item]]]
_Crew = dict[Connection, SpawnProcess]


def share_out(
    start: Start[_Item],
    items: Sequence[_Item],
    num_workers: int,
    tick: Callable[[], None],
) -> None:
    """Have every item worked on, by at most `num_workers` processes (by this one if that is 1).

    Whatever ends this call, an interrupt too, its processes are gone when it returns. Should this
    process be killed, they end themselves.

    Args:
        start: makes each worker's context, which gives what works on an item; picklable.
        items: what to work on; each goes to one worker, in order; picklable.
        num_workers: bound on the number of processes.
        tick: called in this process for every tick of any worker.

    Raises:
        UserError: a worker raised it, or a worker was killed from outside.
        RuntimeError: a worker raised anything else; it holds the worker's traceback.
    """
    if not items:
        return
    if num_workers == 1:
        with start() as work:
            for item in items:
                work(item, tick)
        return
    pending, crew = deque(items), _Crew()
    try:
        for _ in range(min(num_workers, len(items))):
            _hire(start, crew)
        while crew:
            for pipe in cast(list[Connection], wait(list(crew))):
                _answer(pipe, crew, pending, tick)
    finally:
        for process in crew.values():
            process.kill()
        for process in crew.values():
            process.join()


def _hire(start: Start[_Item], crew: _Crew) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_labour, args=(start, theirs), daemon=True)
    # Ctrl-C goes to the whole process group; a worker starts with it blocked, so that only this
    # process answers it. The tracker's own start would lift the block, hence it comes first.
    resource_tracker.ensure_running()
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
        crew[ours] = process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
    # With our copy of the worker's end closed, its death reads as the end of the pipe.
    theirs.close()


def _answer(pipe: Connection, crew: _Crew, pending: deque[_Item], tick: Callable[[], None]) -> None:
    """Take one message from a worker and give it its next item, or let it go home."""
    try:
        kind, text = pipe.recv()
        if kind == "idle" and pending:
            pipe.send(pending.popleft())
        elif kind == "idle":
            pipe.close()
            crew.pop(pipe).join()
    except (EOFError, OSError):
        crew[pipe].join()
        raise UserError(
            f"A worker process died (exit code {crew[pipe].exitcode}; -9 often means that memory "
            "ran out): run the same command again to resume, perhaps with fewer workers."
        ) from None
    if kind == "tick":
        tick()
    elif kind == "user_error":
        raise UserError(text)
    elif kind == "defect":
        raise RuntimeError(f"a worker failed:\n{text}")


def _labour(start: Start[_Item], pipe: Connection) -> None:
    """A worker's life: say "idle", receive an item, work on it, until the pipe closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        with start() as work:
            while True:
                pipe.send(("idle", ""))
                work(pipe.recv(), lambda: pipe.send(("tick", "")))
    except (EOFError, BrokenPipeError):
        return
    except UserError as error:
        pipe.send(("user_error", str(error)))
    except Exception:  # noqa: BLE001 - whatever it is, it is raised again in the parent
        pipe.send(("defect", traceback.format_exc()))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
