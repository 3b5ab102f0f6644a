"""Jobs on this machine, some at a time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Generator, Iterable
from pathlib import Path

from parrot_data.jobs.child import Child, stop
from parrot_data.jobs.job import Doing, Ended, Job, Listen

_log = logging.getLogger(__name__)
_LISTEN_EVERY_S = 2.0


def run_here(
    jobs: Iterable[Job], at_once: int, threads: int, listen: Listen
) -> Generator[Ended, None, None]:
    """Run jobs, each in a process of its own; yield what becomes of each, in the order they end.

    When this generator is closed, those that run are asked to end, and do. Should this process be
    killed, they end themselves. What a job has made by then it goes on from when it is run again.

    Args:
        jobs: drawn as others end.
        at_once: how many.
        threads: of each.
        listen: see `Listen`.
    """
    waiting, children, doing = iter(jobs), dict[str, Child](), dict[str, Doing]()
    ended: queue.Queue[Ended] = queue.Queue()
    followers: list[threading.Thread] = []
    is_over = False
    try:
        while children or not is_over:
            while not is_over and len(children) < at_once:
                job = next(waiting, None)
                if job is None:
                    is_over = True
                    break
                doing[job.name] = Doing("", "")
                children[job.name] = child = Child(job.command(), Path.cwd(), threads)
                arguments = (job, child, doing, ended)
                followers.append(threading.Thread(target=_follow, args=arguments, daemon=True))
                followers[-1].start()
            if not children:
                break
            listen(dict(doing))
            try:
                end = ended.get(timeout=_LISTEN_EVERY_S)
            except queue.Empty:
                continue
            del children[end.job.name], doing[end.job.name]
            yield end
    finally:
        stop(children.values())
        for follower in followers:
            follower.join(_LISTEN_EVERY_S)


def _follow(job: Job, child: Child, doing: dict[str, Doing], ended: queue.Queue[Ended]) -> None:
    def tell(line: str) -> None:
        doing[job.name] = Doing("", line)

    def note(line: str) -> None:
        _log.info("%s: %s", job.name, line)

    ended.put(Ended(job, child.follow(tell, note)))
