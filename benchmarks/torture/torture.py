"""Make every attack of a plan, in a mixed order, as long as time lasts; write what came of it."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.torture import disks, flips, foreign, inputs, kills, races, signals
from benchmarks.torture.ground import Ground, MissedError
from benchmarks.torture.page import reliability_page
from benchmarks.torture.trial import Outcome, Plan, Trial
from benchmarks.torture.verdicts import Beaten
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent

KINDS = (kills, signals, races, disks, flips, foreign, inputs)
PAGE = "reliability.md"


def torture(
    params: Mapping[str, Any],
    out: Path,
    plan: Plan,
    kinds: Sequence[str] | None = None,
    *,
    minutes: float,
    seed: int,
    command: str,
    progress: Progress = silent,
) -> list[Outcome]:
    """Attack the stages of a plan; write `reliability.md`.

    Args:
        params: all sections of params.yaml.
        out: folder to write the page in.
        plan: what to attack, and how often.
        kinds: which kinds of attack, None for all.
        minutes: no trial begins after this time.
        seed: of all moments and places.
        command: that the page says it was made by.
        progress: called before every trial.

    Returns:
        What came of each trial, in the order of the kinds.

    Raises:
        UserError: a kind has no such name, or a stage fails though nothing disturbs it.
    """
    deadline = time.monotonic() + 60 * minutes
    wanted = planned(plan, kinds)
    outcomes: list[Outcome] = []
    with _unwinding(), tempfile.TemporaryDirectory(prefix="parrot-torture-") as scratch:
        ground = Ground(Path(scratch), params, plan.stages)
        ground.prepare(progress)
        for done, trial in enumerate(mixed(wanted)):
            if time.monotonic() > deadline:
                break
            failed = sum(not outcome.survived for outcome in outcomes)
            note = f"{trial.kind}: {trial.attack}, {trial.target}; not survived: {failed}"
            progress(done, len(wanted), note)
            outcomes += made(trial, ground, seed)
    progress(len(outcomes), len(outcomes), "done")
    place = {id(trial): index for index, trial in enumerate(wanted)}
    outcomes.sort(key=lambda outcome: place[id(outcome.trial)])
    survived = {kind.KIND: kind.SURVIVED for kind in KINDS if not kinds or kind.KIND in kinds}
    out.mkdir(parents=True, exist_ok=True)
    page = reliability_page(outcomes, survived, command, len(wanted) - len(outcomes))
    temporary = out / f"{PAGE}.tmp"
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(out / PAGE)
    return outcomes


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let TERM and HUP end this process as Ctrl-C does: what it started and mounted goes too."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {which: signal.getsignal(which) for which in (signal.SIGTERM, signal.SIGHUP)}
    for which, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(which, interrupt)
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def planned(plan: Plan, kinds: Sequence[str] | None = None) -> list[Trial]:
    """All trials of a plan, kind by kind and attack by attack.

    Raises:
        UserError: a kind has no such name.
    """
    for kind in kinds or ():
        if kind not in {module.KIND for module in KINDS}:
            known = ", ".join(module.KIND for module in KINDS)
            raise UserError(f"no attacks are called {kind!r}; choose some of {known}")
    chosen = [module for module in KINDS if not kinds or module.KIND in kinds]
    groups: dict[tuple[str, str], list[Trial]] = {}
    for module in chosen:
        for trial in module.trials(plan):
            groups.setdefault((trial.kind, trial.attack), []).append(trial)
    wanted: list[Trial] = []
    for number, group in enumerate(groups.values()):
        # Another one of the first few each time, so that attacks differ in their targets
        wanted += group[number % min(plan.every, len(group)) :: plan.every]
    return wanted


def mixed(trials: Sequence[Trial]) -> list[Trial]:
    """Trials in such an order that a beginning of it has of every kind its share."""
    places: list[tuple[float, Trial]] = []
    for _, group in groupby(trials, key=lambda trial: trial.kind):
        of_kind = list(group)
        places += [((i + 0.5) / len(of_kind), trial) for i, trial in enumerate(of_kind)]
    return [trial for _, trial in sorted(places, key=lambda place: place[0])]


def made(trial: Trial, ground: Ground, seed: int) -> list[Outcome]:
    """Make a trial; its outcome, or none where it did not come about."""
    try:
        trial.make(ground, trial.random(seed))
    except MissedError:
        return []
    except Beaten as beaten:
        return [Outcome(trial, str(beaten))]
    return [Outcome(trial, "")]
