"""Whatever happens to a file of a dataset: the same content comes out, or a sentence.

Never another exception, and never other content without a word: not where the manifest vouches for
what happened either.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import reseal
from synthetic import SPEC, hashes_of

from parrot_data.errors import UserError
from parrot_data.stores.entries import ENTRIES
from parrot_data.stores.manifest import load_any_manifest
from parrot_data.stores.selection import select
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import ZarrEpisodes

ROUNDS = 5  # on each file
VALUES = [None, True, False, 0, -1, 1, 10**9, 10**30, 0.5, 1e999, "", "x", "../x", "\ud800", [], {}]


def flipped(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def overwritten(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 16)) + content[at + 16 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def repeated(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at : at + 512] + content[at:]


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """JSON, of a whole file or of one of its lines, with one value changed, added or taken away."""
    lines = content.splitlines(keepends=True)
    if lines[0].strip() == b"{":
        return _mutated(content, rng)
    at = rng.randrange(len(lines))
    lines[at] = _mutated(lines[at], rng) + b"\n"
    return b"".join(lines)


def _mutated(text: bytes, rng: random.Random) -> bytes:
    value = json.loads(text)
    holder: Any = value
    while True:
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not (isinstance(holder[key], (dict, list)) and holder[key]) or rng.random() < 0.2:
            break
        holder = holder[key]
    match rng.randrange(3):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder["added"] = holder[key]
        case _:
            holder[key] = rng.choice(VALUES)
    return json.dumps(value, sort_keys=True, indent=2 if b"\n  " in text else None).encode()


def contents_of(folder: Path) -> dict[str, Callable[[], object]]:
    """What each reader finds in the datasets of a folder."""
    episodes, kept, shards = (folder / name for name in ("episodes", "kept", "shards"))

    def listed(dataset: Path) -> list[str]:
        return hashes_of_entries(load_any_manifest(dataset).entries(dataset))

    def verified(dataset: Path) -> list[str]:
        return hashes_of(read_episodes(verify(dataset).tar_paths(dataset), SPEC))

    def selected() -> list[str]:
        return hashes_of(select(episodes, kept).picked.episodes())

    return {
        "verify episodes": lambda: verified(episodes),
        "verify shards": lambda: verified(shards),
        "entries of episodes": lambda: listed(episodes),
        "entries of shards": lambda: listed(shards),
        "selection": selected,
        "zarr": lambda: hashes_of(ZarrEpisodes(shards / "episodes.zarr", SPEC)),
    }


def hashes_of_entries(entries: Iterator[Any]) -> list[str]:
    return [entry.content_hash for entry in entries]


def content_or_sentence(read: Callable[[], object]) -> object:
    try:
        return read()
    except UserError as error:
        return str(error)


def readers_of(name: str) -> list[str]:
    """Who opens a file, or the manifest that vouches for it."""
    dataset, _, rest = name.partition("/")
    if dataset == "kept":
        return ["selection"]
    readers = [f"{verb} {dataset}" for verb in ("verify", "entries of")]
    if dataset == "episodes":
        readers.append("selection")
    return [*readers, "zarr"] if rest.startswith("episodes.zarr") else readers


def files_in(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "summary.json"
    )


@pytest.mark.parametrize("is_resealed", [False, True])
@pytest.mark.parametrize("harm", [flipped, overwritten, cut, repeated, mutated_json])
def test_the_same_content_or_a_sentence(
    whole: Path,
    tmp_path: Path,
    harm: Callable[[bytes, random.Random], bytes],
    is_resealed: bool,
) -> None:
    expected = {name: read() for name, read in contents_of(whole).items()}
    folder = Path(shutil.copytree(whole, tmp_path / "harmed"))
    contents, rng, refused = contents_of(folder), random.Random(harm.__name__), 0
    for name in files_in(whole):
        if harm is mutated_json and not name.endswith((".json", ".jsonl")):
            continue
        path, content = folder / name, (whole / name).read_bytes()
        dataset = folder / name.partition("/")[0]
        is_sealed = is_resealed and dataset.name != "kept" and path.name != "manifest.json"
        for _ in range(ROUNDS):
            path.write_bytes(harm(content, rng))
            if is_sealed:
                reseal(dataset)
            for reader in readers_of(name):
                if is_sealed and reader.startswith("entries") and path.name == ENTRIES:
                    continue  # who reads well-made entries without their episodes believes them
                found = content_or_sentence(contents[reader])
                refused += isinstance(found, str)
                assert isinstance(found, str) or found == expected[reader], f"{reader} of {name}"
            path.write_bytes(content)
        if is_sealed:
            shutil.copy(whole / dataset.name / "manifest.json", dataset)
    assert refused > ROUNDS
