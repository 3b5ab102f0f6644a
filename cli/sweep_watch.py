"""The progress of many jobs together, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from cli.console import print_error, print_if_read
from cli.progress import Progress, share_of, show_progress

if TYPE_CHECKING:
    from cli.sweep_jobs import Sweep
    from parrot_data.jobs.job import Doing, Ended, Job, Listen

NAMED = 4  # of the jobs that are worked on, at once in a line of progress


def watch(wanted: Sweep, run: Callable[[Listen], Generator[Ended, None, None]]) -> None:
    """Run what is missing; say how far all of it is, and what failed.

    Raises:
        UserError: some failed.
    """
    from parrot_data.errors import UserError

    jobs, missing = wanted.jobs, wanted.missing
    failed: list[str] = []
    with show_progress("sweep") as progress:
        overall = _Overall(jobs, missing, progress)
        overall.listen({})
        if not missing:
            return
        with closing(run(overall.listen)) as endings:
            for job, error in endings:
                overall.end(job)
                if error:
                    failed.append(job.name)
                    print_error(f"{job.name}: {error}")
                else:
                    print_if_read(f"made {job.out}")
    if failed:
        raise UserError(
            f"{len(failed)} of {len(jobs)} runs failed, {', '.join(failed)}; the others are "
            "there, and the same command tries these again"
        )


class _Overall:
    """The progress of all jobs together, in the units of their sizes.

    Args:
        jobs: all.
        missing: those of them that are to be made.
        progress: called with it.
    """

    def __init__(self, jobs: Sequence[Job], missing: Sequence[Job], progress: Progress) -> None:
        self._progress, self._num_jobs = progress, len(jobs)
        self._total = sum(job.size for job in jobs)
        self._sizes = {job.name: job.size for job in missing}  # of what has not ended
        self._doing: dict[str, Doing] = {}
        self._done = 0

    def listen(self, doing: Mapping[str, Doing]) -> None:
        """Take note of what is worked on."""
        self._doing = {name: each for name, each in doing.items() if name in self._sizes}
        parts = [self._sizes[name] * share_of(each.line) for name, each in self._doing.items()]
        # A job that begins again elsewhere has lost what it had done, and the count stays
        self._done = max(self._done, self._ended + round(sum(parts)))
        self._progress(self._done, self._total, self._note())

    def end(self, job: Job) -> None:
        """Take note of a job that has ended, in whatever way."""
        del self._sizes[job.name]
        self.listen(self._doing)

    @property
    def _ended(self) -> int:
        return self._total - sum(self._sizes.values())

    def _note(self) -> str:
        said = [f"{self._num_jobs - len(self._sizes)} of {self._num_jobs} runs"]
        for name, each in list(self._doing.items())[:NAMED]:
            where = f" on {each.where}" if each.where else ""
            said.append(f"{name}{where} {share_of(each.line):.0%}")
        more = len(self._doing) - NAMED
        return "; ".join([*said, *([f"{more} more"] if more > 0 else [])])
