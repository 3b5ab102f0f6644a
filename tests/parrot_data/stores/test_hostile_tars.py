"""What an adversary puts into a tar is refused, by `verify` and by whoever reads it.

Every manifest here vouches for what was done: it was sealed again.
"""

from __future__ import annotations

import gzip
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile import (
    LITTLE,
    Members,
    bomb,
    first_tar,
    member,
    npy,
    peak_of,
    replace_member,
    reseal,
    rewrite_tar,
    unsaid,
)
from synthetic import SPEC

from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify

EXABYTES = 10**12


IMAGES = {
    "a bomb": lambda: bomb(1 << 28),
    "a bomb that does not say so": lambda: unsaid(bytes(1 << 24)),
    "an absurd shape": lambda: npy((200, EXABYTES, EXABYTES, 3)),
    "a large shape without content": lambda: npy((10**6, 8, 8, 3)),
    "more steps than there are": lambda: npy((10**7, 8, 8, 3)),
    "no images": lambda: npy((6, 8, 8, 4), content=bytes(6 * 8 * 8 * 4)),
    "no steps": lambda: npy((1, 8, 8, 3), content=bytes(192)),
    "other steps": lambda: npy((5, 8, 8, 3), content=bytes(5 * 192)),
    "floats": lambda: npy((6, 8, 8, 3), "<f4", bytes(6 * 192 * 4)),
    "objects": lambda: npy((1,), "|O", pickle.dumps([print])),
    "two frames": lambda: npy((6, 8, 8, 3), content=bytes(6 * 192)) * 2,
    "not compressed": lambda: bytes(100),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("content", IMAGES.values(), ids=IMAGES)
def test_an_array_is_refused_for_its_size_and_form_before_it_is_unpacked(
    dataset: Path, content: Callable[[], bytes]
) -> None:
    tar, packed = first_tar(dataset), content()
    rewrite_tar(tar, lambda members: replace_member(members, "observation.image.npy.zst", packed))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE + 2 * len(packed)
    assert peak_of(lambda: list(read_episodes([tar], SPEC)), tar.name) < LITTLE + 2 * len(packed)


def sparse(members: Members) -> None:
    """A member that tarfile would unfold to as many zeros as it says."""
    info, content = member("00000000.observation.image.npy.zst", bytes(512))
    info.type = tarfile.GNUTYPE_SPARSE
    members.insert(0, (info, content))


def link(members: Members) -> None:
    info, _ = member("00000000.observation.image.npy.zst", b"")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members.insert(0, (info, b""))


def add(name: str, content: bytes = b"x") -> Callable[[Members], None]:
    return lambda members: members.append(member(name, content))


def swap_keys(members: Members) -> None:
    """Let the first episode go by another's number."""
    for info, _ in members[:7]:
        info.name = info.name.replace(info.name[:8], "77777777")


MEMBERS = {
    "a pickle": add("00000000.pkl", pickle.dumps(print)),
    "a library": add("00000000.pyd"),
    "a compressed pickle": add("00000000.observation.image.pickle.gz"),
    "a path": add("../../00000000.observation.image.npy.zst"),
    "an absolute path": add("/tmp/00000000.observation.image.npy.zst"),
    "a long name": add("0" * 5000),
    "a folder": add("00000000.observation.image.npy.zst/"),
    "a sample in part": add("99999999.observation.image.npy.zst"),
    "a lost member": lambda members: members.pop(3),
    "one twice": lambda members: members.insert(0, members[0]),
    "a sparse file": sparse,
    "a link": link,
    "long metadata": lambda members: replace_member(members, ".json", b"[" * 20_000),
    "deep metadata": lambda members: replace_member(members, ".json", b"[" * 16_000),
    "other metadata": lambda members: replace_member(members, ".json", b'{"index": 1}'),
    "no metadata": lambda members: replace_member(members, ".json", b"\xff\xfe"),
    "another's number": swap_keys,
}


@pytest.mark.parametrize("change", MEMBERS.values(), ids=MEMBERS)
def test_a_tar_holds_the_members_of_samples_and_nothing_else(
    dataset: Path, change: Callable[[Members], object]
) -> None:
    tar = first_tar(dataset)
    rewrite_tar(tar, change)
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE
    assert peak_of(lambda: list(read_episodes([tar], SPEC)), tar.name) < LITTLE


def test_a_member_that_claims_gigabytes_is_refused_by_its_header(dataset: Path) -> None:
    tar = first_tar(dataset)
    whole = tar.read_bytes()
    with tarfile.open(tar) as opened:
        images = next(info for info in opened if info.name.endswith("observation.image.npy.zst"))
    for size in (8 << 30, 30 << 20):
        images.size = size
        at = images.offset
        tar.write_bytes(whole[:at] + images.tobuf(tarfile.GNU_FORMAT) + whole[at + 512 :])
        reseal(dataset)
        assert peak_of(lambda: verify(dataset), tar.name) < LITTLE


def test_what_gzip_made_is_no_tar(dataset: Path) -> None:
    tar = first_tar(dataset)
    tar.write_bytes(gzip.compress(bytes(1 << 26)))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE


def test_a_member_is_no_larger_than_the_episode_of_its_entry_needs(dataset: Path) -> None:
    """Where no manifest says how long an episode is, the whole of a long one would be read."""
    tar, packed = first_tar(dataset), np.random.default_rng(0).bytes(1 << 22)
    rewrite_tar(tar, lambda members: replace_member(members, "image.npy.zst", packed))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), "than the .* that its episode can need") < LITTLE
