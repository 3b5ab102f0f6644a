"""INT, TERM and HUP at random moments of a stage's work, then the same command again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from random import Random

from benchmarks.torture.commands import Running
from benchmarks.torture.ground import Ground, Room
from benchmarks.torture.stages import DATA_STAGES, FILTER, PRETRAIN, Stage
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import Beaten, must_be_clean, must_complete, must_say_one_sentence

KIND = "signals"
SURVIVED = (
    "the command says so in one sentence, exits with 128 and the signal's number (130, 143, 129) "
    "and leaves no process behind; the same command, given again, ends in the bytes of an "
    "undisturbed run"
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 5.0  # for workers to see that their leader is gone


def trials(plan: Plan) -> Iterator[Trial]:
    """Every signal to every stage but filter, whose work is over before a signal comes.

    Of the parts, which share their training, one a signal.
    """
    for number, which in enumerate(SIGNALS):
        for stage in plan.stages:
            if stage is FILTER or (stage in PRETRAIN and stage is not PRETRAIN[number]):
                continue
            for repeat in plan.times(3 if stage in DATA_STAGES else 1):
                act = partial(_interrupt, which, stage)
                yield Trial(KIND, which.name, stage.name, repeat, act)


def _interrupt(which: signal.Signals, stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        to_group = random.random() < 0.5
        hit = ground.strike(room, stage, random, lambda one: one.send(which, to_group=to_group))
        _must_end_well(ground, room, stage, hit, which)
        must_complete(ground, room, stage)


def _must_end_well(
    ground: Ground, room: Room, stage: Stage, hit: Running, which: signal.Signals
) -> None:
    done = hit.finish()
    out = room.folder / stage.out
    if out.exists():  # the signal came after the work: there is nothing to say any more
        must_be_clean(ground, stage, out)
    elif done.code not in (128 + which, -which):
        raise Beaten(f"no exit with {128 + which}: {done}")
    else:
        must_say_one_sentence(done)
    deadline = time.monotonic() + GRACE_S
    while _has_processes(hit.process.pid):
        if time.monotonic() > deadline:
            raise Beaten("left processes behind")
        time.sleep(0.05)


def _has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
