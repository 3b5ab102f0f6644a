"""The chain of hashes tells what a result was made from, and which of it lies there no more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.lineage import lineage
from parrot_data.stores.publish import read_json, sha256_file, write_json

SOURCES = {"episodes_manifest_sha256": "e" * 64, "kept_sha256": "k" * 64}
ORDER = [
    *("params of data", "params of prior", "params of run"),
    *("raw data", "filter decision", "shards", "prior", "agent"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Shards, a prior trained on them and a run on that prior, as far as their hashes go."""
    shards, prior, run = tmp_path / "shards", tmp_path / "prior", tmp_path / "runs" / "0"
    for folder in (shards, prior, run):
        folder.mkdir(parents=True)
    write_json(shards / "manifest.json", {"params": {"generate": {}}, "sources": SOURCES})
    data = sha256_file(shards / "manifest.json")
    write_json(prior / "config.json", {"params": {"train_prior": 1}, "data_manifest_sha256": data})
    (prior / "prior.safetensors").write_bytes(b"prior")
    hashes = {name: sha256_file(prior / name) for name in ("config.json", "prior.safetensors")}
    config = {
        "prior": "../../prior",
        "prior_sha256": hashes,
        "data_manifest_sha256": data,
        "params_sha256": "p" * 64,
    }
    write_json(run / "config.json", config)
    (run / "agent.safetensors").write_bytes(b"agent")
    return tmp_path


def chain_of(root: Path, name: str = "runs/0") -> dict[str, str]:
    return lineage(root / name, root / "shards")


def test_the_chain_of_a_run_is_whole_and_in_order(root: Path) -> None:
    chain = chain_of(root)
    assert list(chain) == ORDER
    manifest, weights = root / "shards" / "manifest.json", root / "prior" / "prior.safetensors"
    assert chain["shards"] == f"{sha256_file(manifest)} (as in {manifest})"
    assert chain["prior"] == f"{sha256_file(weights)} (as in {weights})"
    assert chain["agent"] == sha256_file(root / "runs" / "0" / "agent.safetensors")
    assert (chain["raw data"], chain["filter decision"]) == tuple(SOURCES.values())
    assert chain["params of run"] == "p" * 64


def test_a_prior_and_its_run_agree_on_what_came_before(root: Path) -> None:
    of_prior, of_run = chain_of(root, "prior"), chain_of(root)
    assert list(of_prior) == [name for name in ORDER if name not in ("params of run", "agent")]
    for name in of_prior.keys() - {"prior"}:
        assert of_prior[name] == of_run[name]
    assert of_run["prior"].startswith(of_prior["prior"])


def test_a_changed_link_is_told_and_nothing_is_read_behind_it(root: Path) -> None:
    before = chain_of(root)
    write_json(root / "shards" / "manifest.json", {"params": {}, "sources": SOURCES})
    config = read_json(root / "prior" / "config.json")
    write_json(root / "prior" / "config.json", {**config, "params": {}})
    (root / "prior" / "prior.safetensors").write_bytes(b"another")
    chain = chain_of(root)
    assert list(chain) == ["params of run", "shards", "prior", "agent"]
    for name in ("shards", "prior"):
        assert chain[name].split()[0] == before[name].split()[0]
        assert "is another one by now" in chain[name]


def test_a_missing_link_is_told(root: Path) -> None:
    for name in ("shards", "prior"):
        shutil.rmtree(root / name)
    (root / "runs" / "0" / "agent.safetensors").unlink()
    chain = chain_of(root)
    assert list(chain) == ["params of run", "shards", "prior", "agent"]
    assert "manifest.json is missing" in chain["shards"]
    assert "prior.safetensors is missing" in chain["prior"]
    assert chain["agent"].endswith("agent.safetensors is missing")
