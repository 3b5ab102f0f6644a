"""Disks that fill up, files that may not grow, and logs that take no more."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.torture.ground import STRIKES, Ground, Room, unfinished
from benchmarks.torture.stages import (
    DATA_STAGES,
    FILTER,
    FINETUNE,
    GENERATE,
    PRETRAIN,
    Stage,
)
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import (
    TRACEBACK,
    Beaten,
    must_be_clean,
    must_complete,
    must_refuse,
)

KIND = "full disks"
SURVIVED = (
    "the command says path and cause in one sentence and exits with another status than 0; with "
    "room again, the same command ends in the bytes of an undisturbed run; what is only said (on "
    "a full, closed or broken stdout or stderr) costs no result"
)
CAUSE = r"/.*(space|full|too large)|(space|full|too large).*/"
PAGE = 4096
AMPLE = 1 << 28
REDIRECTIONS = (
    ">/dev/full",
    "2>/dev/full",
    ">/dev/full 2>/dev/full",
    ">&-",
    "2>&-",
    ">&- 2>&-",
    "2>&1 | true",
)


def trials(plan: Plan) -> Iterator[Trial]:
    """Disks too small where mounting is allowed, files too small everywhere; then the logs."""
    has_disks = can_mount()
    for stage in plan.stages:
        if stage in PRETRAIN[1:]:  # which share their training with the first
            continue
        many = 3 if stage in DATA_STAGES else 1
        if has_disks:
            for number in plan.times(many):
                act = partial(_fill, stage)
                yield Trial(KIND, "a disk too small (tmpfs)", stage.name, number, act)
        is_other_way = not has_disks or stage in DATA_STAGES
        for number in plan.times(many) if is_other_way and stage is not FILTER else ():
            act = partial(_limit, stage)
            yield Trial(KIND, "a limit on the size of files", stage.name, number, act)
    for stage, some in ((GENERATE, REDIRECTIONS), (FINETUNE, REDIRECTIONS[2::2])):
        for redirection in some if plan.has(stage) else ():
            act = partial(_gag, stage, redirection)
            yield Trial(KIND, "a log that takes no more", f"{stage.name} {redirection}", 0, act)


def can_mount() -> bool:
    """Whether this process may mount a tmpfs."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def mounted(folder: Path, options: str = f"size={AMPLE}") -> Iterator[None]:
    """A tmpfs at a folder."""
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _resize(folder: Path, size: int) -> None:
    _mount("-o", f"remount,size={size}", str(folder))


def _fill(stage: Stage, ground: Ground, random: Random) -> None:
    sizes = _sizes_of(ground, stage)
    needed = sum(-(-size // PAGE) for size in sizes)
    with ground.room(*stage.inputs, disk=mounted) as room:
        for attempt in range(STRIKES):
            used = os.statvfs(room.folder)
            taken = (used.f_blocks - used.f_bfree) * used.f_frsize
            pages = int(random.uniform(0, needed) * 0.5**attempt)
            _resize(room.folder, taken + PAGE * max(1, pages))
            done = room.call(*stage.line())
            _resize(room.folder, AMPLE)
            if done.code != 0:
                must_refuse(done, CAUSE)
                break
            must_be_clean(ground, stage, room.folder / stage.out)
        must_complete(ground, room, stage)


def _limit(stage: Stage, ground: Ground, random: Random) -> None:
    # What the command says goes into files too, and has to fit.
    least, most = PAGE, max(PAGE, *_sizes_of(ground, stage))
    limit = random.randint(least, max(least, most - 1))

    def hold() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with ground.room(*stage.inputs) as room:
        done = room.start(*stage.line(), before=hold).finish()
        if done.code == 0:
            must_be_clean(ground, stage, room.folder / stage.out)
        else:
            must_refuse(done, CAUSE)
        must_complete(ground, room, stage)


def _gag(stage: Stage, redirection: str, ground: Ground, random: Random) -> None:
    del random
    with ground.room(*stage.inputs) as room:
        done = room.start(*stage.line(), redirection=redirection).finish()
        if TRACEBACK in done.err:
            raise Beaten(f"a traceback: {done}")
        _must_have_published(ground, room, stage)


def _must_have_published(ground: Ground, room: Room, stage: Stage) -> None:
    out = room.folder / stage.out
    if not out.exists():
        state = "unfinished work" if unfinished(out).exists() else "nothing"
        raise Beaten(f"the result is not published, there is {state}")
    must_be_clean(ground, stage, out)


def _sizes_of(ground: Ground, stage: Stage) -> list[int]:
    files = (ground.clean.folder / stage.out).rglob("*")
    return [path.stat().st_size for path in files if path.is_file()]
