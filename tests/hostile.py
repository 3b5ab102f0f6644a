"""What an adversary does to a dataset: change it, and have its manifest vouch for that."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import json_text, sha256_file, write_json
from tests.memory import peak_bytes

Members = list[tuple[tarfile.TarInfo, bytes]]
LITTLE = 3_000_000  # bytes, for all that refusing takes


def reseal(dataset: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Change a manifest at will, and have it vouch for that and for all files as they are now."""
    path = dataset / MANIFEST
    value = json.loads(path.read_text())
    del value["digest"]
    for file in (value["episodes"], *value["files"]):
        there = dataset / file["name"]
        file |= {"sha256": sha256_file(there), "size": there.stat().st_size}
    change(value)
    write_json(path, {**value, "digest": sha256_of(value)})


def sha256_of(value: object) -> str:
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def first_tar(dataset: Path) -> Path:
    return sorted(dataset.rglob("*.tar"))[0]


def rewrite_tar(path: Path, change: Callable[[Members], object]) -> None:
    """Write a tar again with other members."""
    with tarfile.open(path) as tar:
        members: Members = []
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            members.append((member, content.read()))
    change(members)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))


def member(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def replace_member(members: Members, ending: str, content: bytes) -> None:
    """Give the first member of an ending other content."""
    at = next(i for i, (info, _) in enumerate(members) if info.name.endswith(ending))
    members[at] = member(members[at][0].name, content)


def peak_of(refused: Callable[[], object], match: str) -> int:
    """Most memory held until a call was refused."""

    def raises() -> None:
        with pytest.raises(UserError, match=match) as raised:
            refused()
        assert "\n" not in str(raised.value)

    return peak_bytes(raises)


def bomb(num_bytes: int) -> bytes:
    """A frame that says it unpacks to so many bytes, and does, of zeros."""
    compressor, out = zstandard.ZstdCompressor(level=3), io.BytesIO()
    with compressor.stream_writer(out, size=num_bytes, closefd=False) as writer:
        block = bytes(1 << 20)
        for _ in range(num_bytes >> 20):
            writer.write(block)
    return out.getvalue()


def unsaid(content: bytes) -> bytes:
    """A frame that does not say how much it unpacks to."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


def npy(shape: tuple[int, ...], descr: str = "|u1", content: bytes = b"") -> bytes:
    """A compressed .npy that claims a shape."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return zstandard.ZstdCompressor().compress(out.getvalue() + content)
