"""Small datasets to do harm to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_dataset import write_datasets


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes, kept and shards, each in a folder of that name; not to be touched."""
    folder = tmp_path_factory.mktemp("whole")
    write_datasets(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(whole, tmp_path, dirs_exist_ok=True))


@pytest.fixture(params=["episodes", "shards"])
def dataset(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Either dataset of the copy."""
    return folder / request.param
