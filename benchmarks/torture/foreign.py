"""What is not the program's own: a user's files in the way of an output, links, mount points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.torture.disks import can_mount, mounted
from benchmarks.torture.ground import Ground, Room, digests_of
from benchmarks.torture.stages import (
    DATA_STAGES,
    EPISODES,
    FILTER,
    FINETUNE,
    GENERATE,
    PRIOR,
    Stage,
)
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import (
    Beaten,
    must_be_clean,
    must_be_same,
    must_be_untouched,
    must_refuse,
    must_succeed,
)

KIND = "foreign files"
SURVIVED = (
    "an output folder with a file that is not the stage's own, or that is, holds or lies in an "
    "input, is refused in one sentence, and every file is as before; what a user calls `a.partial` "
    "is left alone; through a link or on a mount point the result is published and the link stays"
)
THESIS = "chapter-1.tex"
# A run names the way to its prior, which is another one from where a link leads.
NAMES_ITS_PRIOR = ("config.json", "SHA256SUMS")


def trials(plan: Plan) -> Iterator[Trial]:
    """Put something in the way of the stages that make data, and of one that trains."""
    for stage in plan.stages:
        if stage not in (*DATA_STAGES, FINETUNE):
            continue
        for attack, act in (
            ("a user's folder as --out", _users_folder),
            ("a file of a user's in an earlier output", _mixed_folder),
            ("a file as --out", _file),
            ("a user's folder or file called OUT.partial", _users_partial),
            ("a link as --out", _link),
        ):
            yield Trial(KIND, attack, stage.name, 0, partial(act, stage))
        if can_mount():
            yield Trial(KIND, "a mount point as --out", stage.name, 0, partial(_mount, stage))
            yield Trial(KIND, "a disk for reading alone", stage.name, 0, partial(_frozen, stage))
    for stage, attack, out in _overlaps(plan):
        yield Trial(KIND, attack, f"{stage.name} --out {out!r}", 0, partial(_refuse, stage, out))


def _overlaps(plan: Plan) -> Iterator[tuple[Stage, str, str]]:
    # Not `/`: a program that fails this test would fail it on the machine of whoever runs it.
    for out in ("", ".", "..", "../room", "data/.."):
        yield GENERATE, "the working folder, or above it, as --out", out
    for stage, name in ((FILTER, EPISODES), (FINETUNE, PRIOR)):
        if plan.has(stage):
            parent = name.partition("/")[0]
            for out in (name, f"{parent}/../{name}/", parent, f"{name}/deeper"):
                yield stage, "an input, above it or below it, as --out", out


def _refuse(stage: Stage, out: str, ground: Ground, random: Random) -> None:
    del random
    with ground.room(*ground.outs) as room:
        (room.folder / ".." / THESIS).write_text("years of work")
        before = digests_of(room.folder.parent)
        done = room.call(*stage.line(out))
        outer = Room(room.folder.parent)
        if not room.folder.exists():
            raise Beaten(f"the folder it ran in is gone: {done}")
        must_be_untouched(outer, before)
        must_refuse(done)


def _users_folder(stage: Stage, ground: Ground, random: Random) -> None:
    depth = random.choice(("", "thesis/", "thesis/text/"))
    _must_leave(stage, ground, f"{depth}{THESIS}", first=(depth or THESIS).partition("/")[0])


def _mixed_folder(stage: Stage, ground: Ground, random: Random) -> None:
    name = random.choice((THESIS, ".hidden", "zzz.partial", "notes/a.txt"))
    _must_leave(stage, ground, name, first=name.partition("/")[0], earlier=True)


def _must_leave(
    stage: Stage, ground: Ground, name: str, first: str, *, earlier: bool = False
) -> None:
    with ground.room(*stage.inputs) as room:
        out = room.folder / stage.out
        if earlier:
            ground.lay(stage.out, out)
        _write(out / name)
        before = digests_of(room.folder)
        done = room.call(*stage.line())
        must_be_untouched(room, before)
        must_refuse(done, first.replace(".", r"\."))


def _file(stage: Stage, ground: Ground, random: Random) -> None:
    del random
    with ground.room(*stage.inputs) as room:
        _write(room.folder / stage.out)
        before = digests_of(room.folder)
        done = room.call(*stage.line())
        must_be_untouched(room, before)
        must_refuse(done)


def _users_partial(stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        out = room.folder / stage.out
        name = out.name + random.choice((".partial", ".old.partial"))
        inside = random.choice(("", f"/{THESIS}"))
        if random.random() < 0.5:
            ground.lay(stage.out, out)
        users = out.parent / f"{name}{inside}"
        _write(users)
        done = room.call(*stage.line())
        if not users.is_file() or users.read_text() != "years of work":
            raise Beaten(f"{name}{inside} is gone: {done}")
        if done.code == 0:
            must_be_clean(ground, stage, out)
        else:
            must_refuse(done, name.replace(".", r"\."))


def _link(stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        out, far = room.folder / stage.out, room.folder / "large_disk" / "result"
        out.parent.mkdir(parents=True, exist_ok=True)
        far.mkdir(parents=True)
        if random.random() < 0.5:
            ground.lay(stage.out, far)
        out.symlink_to(far)
        for _ in range(2):  # the second replaces what the first has published
            must_succeed(room.call(*stage.line()))
            if not out.is_symlink():
                raise Beaten("the link was replaced by a folder")
            found, wanted = digests_of(far), ground.digests(stage.out)
            apart = NAMES_ITS_PRIOR if stage.name == "finetune" else ()
            for name in apart:
                del found[name], wanted[name]
            must_be_same(found, wanted, "what the link leads to")


def _mount(stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        out = room.folder / stage.out
        out.mkdir(parents=True)
        with mounted(out):
            if random.random() < 0.5:
                ground.lay(stage.out, out)
            for _ in range(2):
                must_succeed(room.call(*stage.line()))
                must_be_clean(ground, stage, out)


def _frozen(stage: Stage, ground: Ground, random: Random) -> None:
    del random
    with ground.room(*stage.inputs) as room:
        disk = room.folder / "frozen"
        disk.mkdir()
        with mounted(disk, options="ro"):
            must_refuse(room.call(*stage.line("frozen/out")), "frozen")


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("years of work", encoding="utf-8")
