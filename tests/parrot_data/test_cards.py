"""Cards of datasets: the hub reads them, they come out the same, and no manifest names them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import SPECS, filter_params, shard_params, synthetic_episodes, write_raw

from parrot_data.cards.dataset_card import dataset_card, write_card
from parrot_data.cards.front_matter import SIZES, size_category
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.shard import shard
from parrot_data.stores.card_files import CARD, IMAGE
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.verify import verify

hub = pytest.importorskip("huggingface_hub")
COUNT = 12


@pytest.fixture(params=SPECS.values(), ids=SPECS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Episodes, kept and shards of a spec, each in a folder of that name."""
    spec: EpisodeSpec = request.param
    return write_all(tmp_path, spec)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_all(tmp_path, SPECS["vectors alone"]) / "shards"


def write_all(folder: Path, spec: EpisodeSpec) -> Path:
    write_raw(folder / "episodes", synthetic_episodes(COUNT, spec=spec), spec)
    filter_episodes(filter_params(), folder / "episodes", folder / "kept")
    shard(shard_params(), folder / "episodes", folder / "kept", folder / "shards")
    return folder


@pytest.mark.parametrize("kind", ["episodes", "shards"])
def test_the_hub_reads_the_metadata_and_finds_the_data(folder: Path, kind: str) -> None:
    page, _ = dataset_card(folder / kind)
    data = hub.DatasetCard(page).data
    assert data.license == "unknown"
    assert data.task_categories == ["robotics"]
    assert data.size_categories == ["n<1K"]
    assert data.pretty_name
    (config,) = data.to_dict()["configs"]
    (files,) = config["data_files"]
    assert list((folder / kind).glob(files["path"]))


@pytest.mark.parametrize("kind", ["episodes", "shards"])
def test_the_card_reads_the_data_as_it_says(folder: Path, kind: str) -> None:
    page, _ = dataset_card(folder / kind)
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found: dict = {}
    with contextlib.chdir(folder / kind):
        exec(code, found)
    spec = found["manifest"].spec
    assert found["episode"].actions.shape[1] == spec.action.dim
    assert all(f"`{name}`" in page for name in (*spec.observations, *spec.privileged))


def test_shards_hold_their_card_and_are_whole_with_it(folder: Path) -> None:
    page, image = dataset_card(folder / "shards")
    assert (folder / "shards" / CARD).read_text() == page
    assert (folder / "shards" / IMAGE).read_bytes() == image
    assert CARD not in (folder / "shards" / MANIFEST).read_text()
    verify(folder / "shards")
    assert np.asarray(Image.open(io.BytesIO(image))).std() > 1


def test_any_dataset_can_have_one_and_what_made_it_still_knows_it(tmp_path: Path) -> None:
    folder = write_all(tmp_path, SPECS["two images"])
    before = (folder / "episodes" / MANIFEST).read_bytes()
    write_card(folder / "episodes")
    assert (folder / "episodes" / MANIFEST).read_bytes() == before
    verify(folder / "episodes")
    shard(shard_params(zstd_level=1), folder / "episodes", folder / "kept", folder / "shards")
    verify(folder / "shards")


def test_a_readme_of_the_users_is_neither_known_nor_replaced(shards: Path) -> None:
    (shards / CARD).write_text("# mine\n")
    with pytest.raises(UserError, match=f"{CARD}|{IMAGE}"):
        verify(shards)
    with pytest.raises(UserError, match=f"{CARD}|{IMAGE}"):
        shard(
            shard_params(zstd_level=1), shards.parent / "episodes", shards.parent / "kept", shards
        )
    assert (shards / CARD).read_text() == "# mine\n"


@pytest.mark.parametrize("name", [CARD, IMAGE])
def test_an_edited_card_is_kept_and_harms_no_data(shards: Path, name: str) -> None:
    edited = (shards / name).read_bytes() + b"and more\n"
    (shards / name).write_bytes(edited)
    verify(shards)
    with pytest.raises(UserError, match=f"{CARD}|{IMAGE}"):
        shard(
            shard_params(zstd_level=1), shards.parent / "episodes", shards.parent / "kept", shards
        )
    assert (shards / name).read_bytes() == edited


def test_a_license_is_what_one_says_it_is(shards: Path) -> None:
    page, _ = dataset_card(shards, "cc-by-4.0")
    assert hub.DatasetCard(page).data.license == "cc-by-4.0"


def test_sizes_are_the_hubs() -> None:
    assert [size_category(most - 1) for most, _ in SIZES] == [name for _, name in SIZES]
    assert size_category(1000) == "1K<n<10K"
    assert size_category(10**8) == "100M<n<1B"
