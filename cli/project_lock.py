"""parrot.lock of a project: which Parrot its stages are run with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from cli.params_yaml import read_yaml
from cli.project_pipeline import LOCK, PACKAGES, Shape, code_deps
from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file, sha256_sources

DISTRIBUTION = "parrot-priors"
HEADER = """\
# Which Parrot the stages here are run with; `parrot init --upgrade .` locks the installed one.
# `stages` has a hash of the code of each: dvc.yaml makes a stage depend on its own.
"""
KEYS = frozenset({"requirement", "pipeline", "dvc_yaml_sha256", "stages"})


def lock_text(shape: Shape, pipeline: str) -> str:
    """The lock of the Parrot that is installed.

    Args:
        shape: which stages the project has.
        pipeline: its dvc.yaml, so that an upgrade can tell whether it was edited since.
    """
    values = {
        "requirement": requirement(),
        "stages": code_hashes(),
        "pipeline": asdict(shape),
        "dvc_yaml_sha256": hashlib.sha256(pipeline.encode()).hexdigest(),
    }
    return HEADER + yaml.safe_dump(values, sort_keys=False)


def requirement() -> str:
    """What to tell pip to get the installed Parrot: its version, or its commit where that is known.

    That is so if it was installed from a repository of git (PEP 610).
    """
    installed = distribution(DISTRIBUTION)
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    if commit:
        return f"{DISTRIBUTION} @ git+{origin['url']}@{commit}"
    return f"{DISTRIBUTION}=={installed.version}"


def code_hashes() -> dict[str, str]:
    """SHA-256 of what each stage runs of the installed Parrot, by stage."""
    roots = {name: _folder(name).parent for name in PACKAGES}

    def hashed(path: str) -> str:
        found = roots[Path(path).parts[0]] / path
        return sha256_sources(found) if found.is_dir() else sha256_file(found)

    hashes = {path: hashed(path) for path in sorted({d for ds in code_deps().values() for d in ds})}
    return {
        stage: hashlib.sha256(
            "".join(f"{hashes[dep]} {dep}\n" for dep in deps).encode()
        ).hexdigest()
        for stage, deps in code_deps().items()
    }


def check_locked() -> None:
    """Refuse to run a stage of the project here where another Parrot is installed than is locked.

    Raises:
        UserError: it is another, or the lock cannot be read.
    """
    lock = Path(LOCK)
    if not lock.exists():
        return
    locked = read_lock(lock)
    if locked["stages"] != code_hashes():
        raise UserError(
            f"{lock} names {locked['requirement']}, and the Parrot that is installed "
            f"({requirement()}) has other code: install that one, or lock this one with "
            "`parrot init --upgrade .`"
        )


def read_lock(path: Path) -> Mapping[str, Any]:
    """What a lock says.

    Raises:
        UserError: it is missing, or was not made by `parrot init`.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: `parrot init` makes projects, and writes it in them")
    values = read_yaml(path)
    if not isinstance(values, dict) or not values.keys() >= KEYS:
        raise UserError(f"{path} is no lock of `parrot init`: restore it, such as from git")
    return values


def _folder(package: str) -> Path:
    found = find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])
