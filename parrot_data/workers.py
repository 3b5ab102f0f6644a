"""Work shared out over processes that never outlive their parent, and never keep it waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, NamedTuple, TypeVar, cast

from parrot_data.errors import UserError
from parrot_data.interruption import ENDING

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Works on one item and gives what comes of it; calls `tick` whenever a part of it is done.
Worker = Callable[[_Item, Callable[[], None]], _Result]
# Opens what the work needs (a simulator, say), inside the process, and closes it in the end.
Opened = Callable[[], AbstractContextManager[Worker[_Item, _Result]]]
# The same of work that only leaves something on the disk.
Work = Worker[_Item, None]
Start = Opened[_Item, None]
# Processes by our end of the pipe to each.
Processes = dict[Connection, SpawnProcess]


def share_out(
    start: Start[_Item],
    items: Sequence[_Item],
    num_workers: int,
    tick: Callable[[], None],
    *,
    apart: bool = False,
) -> None:
    """Have every item worked on; see `results`.

    Raises:
        UserError: as `results`; and OSError and RuntimeError.
    """
    if items:
        most = min(num_workers, len(items)) if apart or num_workers > 1 else 1
        with closing(results(start, items, most, tick, apart=apart)) as worked_on:
            for _ in worked_on:
                pass


def results(
    start: Opened[_Item, _Result],
    items: Iterable[_Item],
    num_workers: int,
    tick: Callable[[], None],
    *,
    apart: bool = False,
) -> Generator[tuple[int, _Result], None, None]:
    """Have every item worked on, by `num_workers` processes (by this one if that is 1).

    To be closed, as by `contextlib.closing`: whatever ends it, an interrupt too, its processes are
    gone then. Should this process be killed, they end themselves.

    Args:
        start: makes each worker's context, which gives what works on an item; picklable.
        items: what to work on, drawn when a worker is free for it; each goes to one worker, in
            order; picklable.
        num_workers: number of processes.
        tick: called in this process for every tick of any worker.
        apart: never by this process, though it were by one alone.

    Returns:
        The place of each item and what came of it, as they are done.

    Raises:
        UserError: a worker raised it, or a worker was killed from outside.
        OSError: a worker raised it: its disk is full, say.
        RuntimeError: a worker raised anything else; it holds the worker's traceback.
    """
    if num_workers == 1 and not apart:
        with start() as work:
            for number, item in enumerate(items):
                yield number, work(item, tick)
        return
    pending, at_work, processes = enumerate(items), dict[Connection, int](), Processes()
    try:
        for _ in range(num_workers):
            start_process(processes, _work_on_items, start)
        while processes:
            for pipe in cast(list[Connection], wait(list(processes))):
                message = receive(pipe, processes)
                if message == "tick":
                    tick()
                    continue
                done = at_work.pop(pipe, 0)
                # Before the caller is given the result: nobody is to wait meanwhile
                if (following := next(pending, None)) is None:
                    pipe.close()
                    processes.pop(pipe).join()
                else:
                    at_work[pipe], item = following
                    send(pipe, processes, item)
                if isinstance(message, _Done):
                    yield done, message.result
    finally:
        terminate(processes)


class _Done(NamedTuple, Generic[_Result]):
    """What a worker sends when it is done with an item."""

    result: _Result


def start_process(processes: Processes, target: Callable[..., None], *arguments: Any) -> None:
    """Start a process that calls `target(pipe, *arguments)`; all of it is picklable.

    It ends with `target`, with this process, or when it is terminated. A closed pipe ends it
    quietly, and what `target` raises is raised by `receive`.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(target, theirs, *arguments), daemon=True)
    with signals_blocked_in_children():
        process.start()
        processes[ours] = process
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


def terminate(processes: Processes) -> None:
    """End every process, whatever it is doing."""
    for process in processes.values():
        process.kill()
    for process in processes.values():
        process.join()


def send(pipe: Connection, processes: Processes, message: Any) -> None:
    """Send a message to a process.

    Raises:
        UserError: it was killed.
    """
    try:
        pipe.send(message)
    except OSError:
        raise _death(processes[pipe]) from None


def receive(pipe: Connection, processes: Processes) -> Any:
    """Wait for the next message of a process.

    Raises:
        UserError: it raised one, or it was killed.
        OSError: it raised one.
        RuntimeError: it raised anything else.
    """
    try:
        kind, content = pipe.recv()
    except (EOFError, OSError):
        raise _death(processes[pipe]) from None
    if kind == "user_error":
        raise UserError(content)
    if kind == "system":
        raise OSError(*content)
    if kind == "defect":
        raise RuntimeError(f"a worker failed:\n{content}")
    return content


def report(pipe: Connection, message: Any) -> None:
    """In such a process: let `receive` return this message."""
    pipe.send(("message", message))


def _death(process: SpawnProcess) -> UserError:
    process.join()
    return UserError(
        f"A worker process died (exit code {process.exitcode}; -9 often means that memory "
        "ran out): run the same command again to resume, perhaps with fewer workers."
    )


def _work_on_items(pipe: Connection, start: Opened[Any, Any]) -> None:
    """What a worker does: receive an item, work on it, send the result, until the pipe closes."""
    with start() as work:
        report(pipe, "idle")
        while True:
            report(pipe, _Done(work(pipe.recv(), lambda: report(pipe, "tick"))))


def _run(target: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    end_with_parent()
    try:
        target(pipe, *arguments)
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
