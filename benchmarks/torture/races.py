"""The same command several times at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial
from random import Random

from benchmarks.torture.ground import Ground, wait_for_work
from benchmarks.torture.stages import DATA_STAGES, FINETUNE, PRETRAIN, Stage
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import (
    Beaten,
    must_be_clean,
    must_complete,
    must_refuse,
    must_succeed,
)

KIND = "races"
SURVIVED = (
    "at least one of them publishes the bytes of a single run, whoever does not says so in one "
    "sentence; work whose holder was killed is taken over"
)


def trials(plan: Plan) -> Iterator[Trial]:
    """Two or three at once, and one that meets the remains of another."""
    for stage in plan.stages:
        if stage in PRETRAIN[1:]:  # which share their training with the first
            continue
        times = plan.times(4 if stage in DATA_STAGES else 1)
        for number in times:
            yield Trial(KIND, "two or three at once", stage.name, number, partial(_race, stage))
        if stage in (*DATA_STAGES, FINETUNE):
            for number in times[:2]:
                act = partial(_inherit, stage)
                yield Trial(KIND, "one at work is killed", stage.name, number, act)


def _race(stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        all_of_them = [room.start(*stage.line())]
        for _ in range(random.choice((1, 1, 2))):
            if random.random() < 0.75:
                wait_for_work(all_of_them[0], room.folder / stage.out)
            time.sleep(random.uniform(0, 0.3))
            all_of_them.append(room.start(*stage.line()))
        ends = [running.finish() for running in all_of_them]
        if all(done.code != 0 for done in ends):
            raise Beaten(f"none of them has published: {ends[0]}; {ends[1]}")
        for done in ends:
            if done.code != 0:
                must_refuse(done)
            else:
                must_succeed(done)
        must_be_clean(ground, stage, room.folder / stage.out)
        must_complete(ground, room, stage)


def _inherit(stage: Stage, ground: Ground, random: Random) -> None:
    """The second runs into the first, which is then killed; a third has to take over."""
    with ground.room(*stage.inputs) as room:
        first = room.start(*stage.line())
        wait_for_work(first, room.folder / stage.out)
        second = room.start(*stage.line())
        time.sleep(random.uniform(0, 0.5))
        first.send(signal.SIGKILL, to_group=random.random() < 0.5)
        done = second.finish()
        if done.code != 0:
            must_refuse(done)
        must_complete(ground, room, stage)
