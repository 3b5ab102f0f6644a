"""A manifest comes back as it was saved, or an error says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import SPECS

from parrot_data.errors import UserError
from parrot_data.stores.kept import load_kept
from parrot_data.stores.manifest import (
    MANIFEST,
    Ancestor,
    BlockEntry,
    EpisodesManifest,
    Parent,
    load_manifest,
    save_manifest,
)
from parrot_data.stores.records import FileEntry


@pytest.fixture
def manifest(tmp_path: Path) -> EpisodesManifest:
    params = {"generate": {"seed": 1, "action_noise": 0.1}}
    episodes = FileEntry(name="episodes.jsonl", sha256="0" * 64, size=600)
    file = BlockEntry(name="episodes-00000.tar", sha256="1" * 64, size=9, num_episodes=3)
    manifest = EpisodesManifest(
        params=params,
        seed=1,
        spec=SPECS["vectors alone"],
        num_episodes=3,
        files=[file],
        episodes=episodes,
    )
    save_manifest(tmp_path, manifest)
    return manifest


def test_manifest_comes_back(manifest: EpisodesManifest, tmp_path: Path) -> None:
    assert load_manifest(tmp_path, "episodes") == manifest
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_every_flipped_bit_is_found(manifest: EpisodesManifest, tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    for place in range(len(whole)):
        bit = 1 << place % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"manifest\.json"):
            load_manifest(tmp_path, "episodes")


def test_parents_come_back_and_who_has_none_does_not_mention_them(
    manifest: EpisodesManifest, tmp_path: Path
) -> None:
    assert not {"parents", "ancestors"} & json.loads((tmp_path / MANIFEST).read_text()).keys()
    parent = Parent(
        sha256="2" * 64, kind="episodes", num_episodes=4, seed=1, made_with=manifest.params,
        edit="select", params={"where": "success"},
    )  # fmt: skip
    ancestor = Ancestor(**parent.model_dump(), child="2" * 64)
    edited = manifest.model_copy(update={"parents": [parent], "ancestors": [ancestor]})
    save_manifest(tmp_path, edited)
    assert load_manifest(tmp_path, "episodes") == edited


def test_the_other_kind_is_refused(manifest: EpisodesManifest, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="describes episodes, not shards"):
        load_manifest(tmp_path, "shards")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, "schema version 3, this program reads 4: run the stage"),
        ({"kind": "photographs"}, "no manifest"),
        ({"seed": "1"}, "seed"),
        ({"colour": 1}, "colour"),
        ({"spec": {}}, r"spec\.observations"),
        ({"spec": None}, "spec"),
        ({"seed": 2}, "altered"),
        ({"digest": "0"}, "altered"),
    ],
)
def test_other_content_is_named(
    manifest: EpisodesManifest, tmp_path: Path, change: dict, message: str
) -> None:
    path = tmp_path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        load_manifest(tmp_path, "episodes")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        load_manifest(tmp_path, "episodes")
    with pytest.raises(UserError, match=r"kept\.json is missing"):
        load_kept(tmp_path)
