"""The chain of hashes that a prior or a run hangs on, from the params to the agent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import json_text, read_json, sha256_file

CONFIG, PRIOR, AGENT = "config.json", "prior.safetensors", "agent.safetensors"
BESIDE = (CONFIG, "keypoints.safetensors")  # of a part, beside the weights it is named for
UNKNOWN = "not recorded"


def lineage(folder: Path, data: Path) -> dict[str, str]:
    """Every link's SHA-256, in the order of making: params, data, filter, shards, prior, agent.

    What the folder itself records is always there. Links further back are read from where they
    lie, as long as those are still what the folder records.

    Args:
        folder: a prior or a run of finetune.
        data: where the shards should lie.

    Raises:
        UserError: a config that is there cannot be read.
    """
    config = read_json(folder / CONFIG)
    own = _prior_links(folder, config) if "prior" not in config else _run_links(folder, config)
    behind = _data_links(data, str(config.get("data_manifest_sha256", UNKNOWN)))
    chain = {**behind, **own}
    return {name: chain[name] for name in sorted(chain, key=_is_no_param)}


def edits_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What a dataset was edited from, a line a step: its parents, then what is behind these."""
    links = {}
    for generation in ("parents", "ancestors"):
        for number, step in enumerate(manifest.get(generation, ()), start=1):
            name = f"{generation.removesuffix('s')} {number}"
            params = ", ".join(f"{key} {value}" for key, value in step["params"].items())
            into = f" into {step['child'][:12]}" if "child" in step else ""
            size = f"{step['num_episodes']:,} {step['kind']}"
            links[name] = f"{step['sha256']} ({size}): {step['edit']}{into}, {params}"
    return links


def _is_no_param(name: str) -> bool:
    return not name.startswith("params")


def _data_links(data: Path, recorded: str) -> dict[str, str]:
    path = data / MANIFEST
    state = _state(path, recorded)
    if not state.startswith("as in"):
        return {"shards": f"{recorded} ({state})"}
    manifest = read_json(path)
    sources = manifest["sources"] or {}  # none where shards of several were merged
    steps = edits_of(manifest)
    return {
        "params of data": _sha256_of(manifest["params"]),
        "raw data": str(sources.get("episodes_manifest_sha256", UNKNOWN)),
        "filter decision": str(sources.get("kept_sha256", UNKNOWN)),
        **dict(reversed(steps.items())),
        "shards": f"{recorded} ({state})",
    }


def _prior_links(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    name = _weights([path.name for path in folder.glob("*.safetensors")])
    return {
        "params of prior": _sha256_of(config.get("params")),
        "prior": _hash_of(folder / name),
    }


def _run_links(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    prior = Path(os.path.normpath(folder / config["prior"]))
    recorded = config.get("prior_sha256", {})
    name = _weights(recorded)
    weights = str(recorded.get(name, UNKNOWN))
    links = {
        "params of run": str(config.get("params_sha256", UNKNOWN)),
        "prior": f"{weights} ({_state(prior / name, weights)})",
        "agent": _hash_of(folder / AGENT),
    }
    if _state(prior / CONFIG, recorded.get(CONFIG, UNKNOWN)).startswith("as in"):
        links = {"params of prior": _sha256_of(read_json(prior / CONFIG).get("params")), **links}
    return links


def _weights(names: Iterable[str]) -> str:
    return next((name for name in sorted(names) if name not in BESIDE), PRIOR)


def _hash_of(path: Path) -> str:
    return sha256_file(path) if path.exists() else f"{path} is missing"


def _state(path: Path, recorded: str) -> str:
    if not path.exists():
        return f"{path} is missing"
    return f"as in {path}" if sha256_file(path) == recorded else f"{path} is another one by now"


def _sha256_of(value: object) -> str:
    return hashlib.sha256(json_text(value).encode()).hexdigest()
