"""A dataset's card, as files: they are made from the dataset, and no manifest vouches for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

CARD, IMAGE = "README.md", "episodes.png"
# In the metadata, where the hub takes it for a comment: by this a card is told from a user's README
BEGINNING = f"---\n# A card of Parrot; SHA-256 of what follows, and of {IMAGE}: "


def stamped(page: str, image: bytes) -> str:
    """A page that begins with metadata, with what tells whether somebody edited it or its image."""
    opening, _, rest = page.partition("\n")
    if opening != "---":
        raise ValueError("a card begins with its metadata")
    return f"{BEGINNING}{_digest(rest.encode(), image)}\n{rest}"


def has_card(folder: Path) -> bool:
    """Whether a folder has a card of ours, edited or not."""
    return _read(folder / CARD).startswith(BEGINNING.encode())


def card_files(folder: Path) -> list[str]:
    """Names of the files of a card that is as it was made; none of one that somebody edited."""
    page, image = _read(folder / CARD), _read(folder / IMAGE)
    said, _, rest = page.removeprefix(BEGINNING.encode()).partition(b"\n")
    is_whole = has_card(folder) and said == _digest(rest, image).encode()
    return [CARD, IMAGE] if is_whole else []


def _digest(rest: bytes, image: bytes) -> str:
    return hashlib.sha256(rest + image).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
