from __future__ import annotations

import json
import shutil

import pytest

from parrot_models import parts as stage
from parrot_models.methods.table import METHODS

BY_PART = {
    name: {m for m, method in METHODS.items() if method.part.name == name}
    for name in sorted({method.part.name for method in METHODS.values()})  # as xdist needs it
}


def save(models, part, weights=b"weights"):
    folder = models / part
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / f"{part}.safetensors").write_bytes(weights)


@pytest.fixture
def models(tmp_path):
    for part in BY_PART:
        save(tmp_path / "models", part)
    return tmp_path / "models"


def changed(before, after):
    assert before.keys() == after.keys() == METHODS.keys()
    return {name for name in METHODS if before[name] != after[name]}


@pytest.mark.parametrize("part", BY_PART)
def test_other_weights_concern_the_methods_that_start_from_them(models, tmp_path, part):
    before = stage.parts(models, tmp_path / "parts.json")
    assert json.loads((tmp_path / "parts.json").read_text()) == before
    assert stage.parts(models, tmp_path / "parts.json") == before
    save(models, part, b"other weights")
    assert changed(before, stage.parts(models, tmp_path / "parts.json")) == BY_PART[part]


@pytest.mark.parametrize(
    ("code", "concerned"),
    [
        ("flows/coupling.py", ("prior", "spline", "matching")),
        ("baselines/options_model.py", ("options",)),
        ("baselines/keypoints.py", ("bc", "trajectories", "options")),
    ],
)
def test_other_code_concerns_the_methods_that_it_is_for(
    models, tmp_path, monkeypatch, code, concerned
):
    sources = tmp_path / "sources"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(stage.SOURCES, sources, ignore=ignored)
    monkeypatch.setattr(stage, "SOURCES", sources)
    before = stage.parts(models, tmp_path / "parts.json")
    with (sources / code).open("a") as file:
        file.write("# another line\n")
    after = stage.parts(models, tmp_path / "parts.json")
    assert changed(before, after) == set().union(*(BY_PART[part] for part in concerned))


def test_what_has_not_been_trained_has_no_hash(models, tmp_path):
    shutil.rmtree(models / "bc")
    hashes = stage.parts(models, tmp_path / "parts.json")
    assert {name for name, value in hashes.items() if value is None} == BY_PART["bc"]
