"""What has to be true after an attack; where it is not, the attack has won."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.torture.commands import Done
from benchmarks.torture.ground import Ground, Room, digests_of, unfinished
from benchmarks.torture.stages import Stage

TRACEBACK = "Traceback (most recent call last)"
USAGE = 2  # exit status of a command line that names no known option


class Beaten(Exception):  # noqa: N818 (a finding, not an error of this program)
    """An attack has won; says what went wrong."""


def must_say_one_sentence(done: Done, said: str = "") -> None:
    """A mistake is told in one sentence, the last line of stderr, without a traceback.

    Args:
        done: the command.
        said: pattern that has to be found in the sentence, capitals or not.
    """
    if TRACEBACK in done.err or TRACEBACK in done.out:
        raise Beaten(f"a traceback: {done}")
    if done.code == USAGE and "Usage:" in done.err:
        return
    if len(done.sentences) != 1 or not done.err.strip().splitlines()[-1].startswith("error: "):
        raise Beaten(f"not one sentence: {done}")
    if not re.search(said, done.sentences[0], re.IGNORECASE):
        raise Beaten(f"the sentence does not say {said}: {done}")


def must_refuse(done: Done, said: str = "") -> None:
    """The command has failed, by its own will, and said why in one sentence."""
    if done.code is None or done.code <= 0:
        raise Beaten(f"not refused: {done}")
    must_say_one_sentence(done, said)


def must_succeed(done: Done) -> None:
    """The command has ended well."""
    if done.code != 0:
        raise Beaten(f"did not go on: {done}")
    if TRACEBACK in done.err:
        raise Beaten(f"a traceback: {done}")


def must_be_clean(ground: Ground, stage: Stage, out: Path) -> None:
    """An output is, byte by byte, what the undisturbed stage made."""
    must_be_same(digests_of(out), ground.digests(stage.out), f"result of {stage.name}")


def must_complete(ground: Ground, room: Room, stage: Stage) -> None:
    """The same command, given again, ends in the clean bytes and leaves nothing unfinished."""
    must_succeed(room.call(*stage.line()))
    must_be_clean(ground, stage, room.folder / stage.out)
    left = unfinished(room.folder / stage.out)
    if left.exists():
        raise Beaten(f"left {left.name} behind")


def must_be_same(found: Mapping[str, str], wanted: Mapping[str, str], what: str) -> None:
    """Files have the hashes that they should have, and no others are there."""
    changed = sorted(name for name in found.keys() & wanted.keys() if found[name] != wanted[name])
    for names, state in (
        (sorted(wanted.keys() - found.keys()), "missing"),
        (changed, "other bytes"),
        (sorted(found.keys() - wanted.keys()), "not of it"),
    ):
        if names:
            raise Beaten(f"{what}: {state}: {', '.join(names[:3])} ({len(names)} files)")


def must_be_untouched(room: Room, before: Mapping[str, str]) -> None:
    """Every file in a room is as before, and none but locks was added."""
    after = digests_of(room.folder)
    added = {name for name in after.keys() - before.keys() if name.endswith(".lock")}
    must_be_same({name: after[name] for name in after.keys() - added}, before, "the user's files")


def must_refuse_or_agree(ground: Ground, room: Room, stage: Stage) -> None:
    """A stage with a damaged input refuses it, or the damage does not matter to its result."""
    done = room.call(*stage.line())
    if done.code == 0:
        must_be_clean(ground, stage, room.folder / stage.out)
    else:
        must_refuse(done)
