"""Bytes that change: in every output before it is read again, and in unfinished work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.torture.ground import STRIKES, Ground, MissedError, Room, unfinished
from benchmarks.torture.kills import kill
from benchmarks.torture.stages import (
    DATA_STAGES,
    EPISODES,
    FILTER,
    FINETUNE,
    GENERATE,
    JUDGE,
    PRETRAIN,
    PRIOR,
    REPORT,
    RUN,
    SHARD,
    SHARDS,
    TRAIN_PRIOR,
    Stage,
)
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import (
    Beaten,
    must_complete,
    must_refuse,
    must_refuse_or_agree,
)
from parrot_data.stores.card_files import CARD, IMAGE, has_card

KIND = "byte flips"
SURVIVED = (
    "`verify` refuses a dataset in one sentence; a stage or `evaluate` refuses it in one sentence "
    "or, where the byte does not matter to it, makes the same result; unfinished work with a "
    "flipped byte, or a file cut short, ends in the bytes of an undisturbed run"
)
READERS: Sequence[tuple[Stage, Stage, int]] = (
    (GENERATE, FILTER, 8),
    (GENERATE, SHARD, 8),
    (FILTER, SHARD, 8),
    (SHARD, TRAIN_PRIOR, 3),
    (SHARD, PRETRAIN[0], 1),
    (TRAIN_PRIOR, JUDGE, 2),
    (TRAIN_PRIOR, FINETUNE, 4),
    (JUDGE, REPORT, 2),
    (FINETUNE, REPORT, 3),
)


def trials(plan: Plan) -> Iterator[Trial]:
    """Flip what each stage wrote and give it to its readers; then flip unfinished work."""
    for out in (EPISODES, SHARDS):
        for number in plan.times(10):
            act = partial(_verify, out)
            yield Trial(KIND, "a byte of a dataset, then verify", out, number, act)
    for writer, reader, times in READERS:
        for number in plan.times(times) if plan.has(writer, reader) else ():
            act, target = partial(_read, writer, reader), f"{writer.out}, then {reader.name}"
            yield Trial(KIND, "a byte of an output, then the next stage", target, number, act)
    for number in plan.times(4) if plan.has(FINETUNE) else ():
        yield Trial(KIND, "a byte of a run, then evaluate", RUN, number, _evaluate)
    yield from _unfinished(plan)


def _unfinished(plan: Plan) -> Iterator[Trial]:
    for stage in plan.stages:
        if stage is FILTER or stage in PRETRAIN[1:]:  # over at once; share the first's training
            continue
        for number in plan.times(4 if stage in DATA_STAGES else 2):
            for attack, damage in (("a byte", flip), ("the end", cut)):
                if damage is flip or number % 2 == 0:
                    act = partial(_resume, stage, damage)
                    yield Trial(KIND, f"{attack} of unfinished work", stage.name, number, act)


def flip(folder: Path, random: Random) -> str:
    """Change a random byte of a random file; say which file."""
    path = _some_file(folder, random)
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= random.randint(1, 255)
    path.write_bytes(data)
    return str(path.relative_to(folder))


def cut(folder: Path, random: Random) -> str:
    """Cut a random file short, perhaps to nothing; say which file."""
    path = _some_file(folder, random)
    path.write_bytes(path.read_bytes()[: random.choice((0, path.stat().st_size // 2))])
    return str(path.relative_to(folder))


def _some_file(folder: Path, random: Random) -> Path:
    return random.choice(_files_in(folder))


def _files_in(folder: Path) -> list[Path]:
    """Those that have bytes, but for a dataset's card: that is no data, and anybody may edit it."""
    card = {folder / CARD, folder / IMAGE} if has_card(folder) else set()
    paths = sorted(folder.rglob("*"))
    return [path for path in paths if path not in card and path.is_file() and path.stat().st_size]


def _verify(out: str, ground: Ground, random: Random) -> None:
    with ground.room(out) as room:
        name = flip(room.folder / out, random)
        _naming(name, lambda: must_refuse(room.call("verify", out)))


def _read(writer: Stage, reader: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*reader.inputs) as room:
        name = flip(room.folder / writer.out, random)
        _naming(name, lambda: must_refuse_or_agree(ground, room, reader))


def _evaluate(ground: Ground, random: Random) -> None:
    with ground.room(RUN, PRIOR) as room:
        name = flip(room.folder / RUN, random)
        _naming(name, lambda: _must_evaluate_alike(ground, room))


def _must_evaluate_alike(ground: Ground, room: Room) -> None:
    done = room.call("evaluate", RUN)
    if done.code != 0:
        must_refuse(done)
    elif done.out != ground.evaluated:
        raise Beaten("other measures, exit 0")


def _resume(
    stage: Stage, damage: Callable[[Path, Random], str], ground: Ground, random: Random
) -> None:
    with ground.room(*stage.inputs) as room:
        work = unfinished(room.folder / stage.out)
        for _ in range(STRIKES):
            ground.strike(room, stage, random, partial(kill, random=random))
            if _files_in(work):  # not killed after it had published
                break
        else:
            raise MissedError(f"{stage.name} left nothing unfinished")
        name = damage(work, random)
        _naming(name, lambda: must_complete(ground, room, stage))


def _naming(name: str, check: Callable[[], None]) -> None:
    """Say which file was damaged, where a check fails."""
    try:
        check()
    except Beaten as beaten:
        raise Beaten(f"{name}: {beaten}") from None
