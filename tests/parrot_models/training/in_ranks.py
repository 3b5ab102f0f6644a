"""Processes that train together, forked from the test's own: torch is imported already."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import distributed

from parrot_models.training.ranks import Ranks


def in_ranks(count: int, run: Callable[[Ranks], Any]) -> list[Any]:
    """What `run` returns in each of so many processes, or the exception that it raises there."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(count)]
        processes = [
            context.Process(target=_run, args=(run, Ranks(rank, count), folder, send))
            for rank, (_, send) in enumerate(pipes)
        ]
        for process, (_, send) in zip(processes, pipes, strict=True):
            process.start()
            send.close()
        found = [_received(receive) for receive, _ in pipes]
        for process in processes:
            process.join()
    return found


def _received(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return "killed"


def _run(run: Callable[[Ranks], Any], ranks: Ranks, folder: str, pipe: Any) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    distributed.init_process_group(
        "gloo", init_method=f"file://{Path(folder) / 'meeting'}", rank=ranks.rank,
        world_size=ranks.count, timeout=timedelta(minutes=5),
    )  # fmt: skip
    try:
        found = run(ranks)
        ranks.wait()
    except BaseException as error:  # noqa: BLE001 (the test looks at it)
        found = error
    try:
        pipe.send(found)
    except Exception:  # noqa: BLE001 (what cannot be pickled is told by name)
        pipe.send(RuntimeError(repr(found)))
