"""Kill -9 at random moments, then the same command again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from random import Random

from benchmarks.torture.commands import Running
from benchmarks.torture.ground import Ground, digests_of
from benchmarks.torture.stages import (
    DATA_STAGES,
    FILTER,
    JUDGE,
    PRETRAIN,
    REPORT,
    VIEW,
    Stage,
)
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import must_be_same, must_complete

KIND = "kills"
SURVIVED = (
    "the same command, given again, exits with 0 and ends in the bytes of an undisturbed run; an "
    "earlier result is whole at any moment, or out of sight for as long as a rename takes; what "
    "the command reads is as before"
)


def trials(plan: Plan) -> Iterator[Trial]:
    """Kill every stage, several times in a row or once, its workers too or not."""
    for stage in plan.stages:
        quick, single = stage in DATA_STAGES, stage in (*PRETRAIN, JUDGE, REPORT, VIEW)
        for number in plan.times(5 if quick else 1 if single else 2):
            yield Trial(KIND, "kill -9", stage.name, number, partial(_kill, stage))


def kill(running: Running, random: Random) -> None:
    """Send SIGKILL to a command alone or with its workers, and wait for the end of it."""
    running.send(signal.SIGKILL, to_group=random.random() < 0.5)
    running.process.wait()


def _kill(stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        out = room.folder / stage.out
        if random.random() < 0.5:
            ground.lay(stage.out, out)
        for _ in range(random.choice((1, 1, 2, 3))):
            anywhere = stage is FILTER or random.random() < 0.25  # whose work is over at once
            ground.strike(room, stage, random, partial(kill, random=random), anywhere=anywhere)
            if out.exists():
                wanted = ground.digests(stage.out)
                # Between its two last steps a result still has the note that marks it unfinished.
                found = {k: v for k, v in digests_of(out).items() if k in wanted}
                must_be_same(found, wanted, "what lies at --out after the kill")
        for name in stage.inputs:
            found, wanted = digests_of(room.folder / name), ground.digests(name)
            must_be_same(found, wanted, f"{name}, which it reads")
        must_complete(ground, room, stage)
