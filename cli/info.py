"""What an artefact says of itself: its kind, how good it is, its params and the hashes of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.lineage import edits_of, lineage
from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST, files_of, load_any_manifest
from parrot_data.stores.publish import read_json, sha256_file
from parrot_data.stores.seal import check_seal, is_sealed
from parrot_models.methods.names import PART_OF_METHOD

# By the file that gives a kind away: what the folder is, and which of its files say more.
KINDS = (
    ("kept.json", "the decision of filter", ("summary.json",)),
    ("table.txt", "report", ("summary.json",)),
    ("curve.csv", "run of finetune", ("metrics.json", "config.json")),
    ("policy.safetensors", "behaviour-cloned policy", ("metrics.json", "config.json")),
    ("audit.png", "audit of a prior", ("metrics.json", "config.json")),
    ("exploration.csv", "measures of exploration", ("config.json",)),
    ("prior.safetensors", "behavioural prior", ("metrics.json", "config.json")),
    ("history.csv", "what a baseline starts from", ("metrics.json", "config.json")),
    ("split.json", "parts of a dataset", ("split.json",)),
    ("metrics.json", "judgement of a model", ("metrics.json", "config.json")),
)
# What a person looks for: first what this is, then how good or large, by how a name ends.
SAYS_WHAT = ("kind", "task", "method", "seed")
SAYS_HOW_GOOD = (
    *("success_rate", "log_prob_per_dim", "elbo_per_dim", "bound_per_dim"),
    *("steps_to_80", "steps_to_50", "env_steps", "num_episodes", "num_kept", "num_successes"),
)
WHAT, HOW_GOOD, MEASURED, SET, HASHED = range(5)
WITH_LINEAGE = ("run of finetune", "behavioural prior", "what a baseline starts from")


def describe(path: Path, data: Path) -> tuple[str, dict[str, Any]]:
    """Title and facts of an artefact; a file stands for the folder it lies in.

    Facts are what it is, how good and how large, what else was measured, params, hashes.

    Args:
        path: the artefact.
        data: where the shards lie, for the lineage of a prior or a run.

    Raises:
        UserError: nothing is there, it is no output of a stage, or was changed after it was made.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: name an output of a stage, such as data/shards")
    if path.is_file() and (parts := _parts(path)):
        return f"{path}: what methods start from", parts
    folder = path if path.is_dir() else path.parent
    title, facts = _of_folder(folder, data)
    rows = sorted(_rows(facts), key=lambda row: _place_of(row[0]))
    return title, dict(rows)


def _of_folder(folder: Path, data: Path) -> tuple[str, dict[str, Any]]:
    if (folder / MANIFEST).exists():
        return _dataset(folder)
    for sign, kind, sources in KINDS:
        if (folder / sign).exists():
            if is_sealed(folder):
                check_seal(folder, "dvc repro")
            paths = [folder / name for name in sources]
            facts = {path.stem: read_json(path) for path in paths if path.exists()}
            if kind in WITH_LINEAGE:
                facts["lineage"] = lineage(folder, data)
            return f"{folder}: {kind}", {**facts, "sha256": _hashes(folder)}
    raise UserError(
        f"{folder} is no output of a stage: it holds neither {MANIFEST} nor "
        f"{', '.join(sign for sign, _, _ in KINDS)}"
    )


def _rows(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are no mappings, under dotted names."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _place_of(name: str) -> tuple[int, int, int]:
    """Where a dotted name stands among the others; those of the same place stay as they came."""
    parts = name.split(".")
    first, last = parts[0], parts[-1]
    if "sha256" in name or first == "lineage":
        return HASHED, 0, 0
    if first in ("config", "params", "spec", "schema_version"):
        return SET, 0, 0
    if last in SAYS_WHAT and len(parts) <= 2:
        return WHAT, SAYS_WHAT.index(last), 0
    ends = (place for place, end in enumerate(SAYS_HOW_GOOD) if last.endswith(end))
    place = next(ends, None)
    return (MEASURED, 0, 0) if place is None else (HOW_GOOD, len(parts), place)


def _parts(path: Path) -> dict[str, Any]:
    """Of a file that `parrot parts` wrote: part and hash a method; nothing of any other file."""
    if path.suffix != ".json":
        return {}
    hashes = read_json(path)
    if not isinstance(hashes, dict) or not hashes or hashes.keys() - PART_OF_METHOD.keys():
        return {}
    trained = {name: digest for name, digest in hashes.items() if digest}
    missing = " (not trained: name it in finetune.parts or finetune.flows)"
    starts = {n: PART_OF_METHOD[n] + ("" if n in trained else missing) for n in hashes}
    return {"num_trained": len(trained), "starts_from": starts, "sha256": trained}


def _dataset(folder: Path) -> tuple[str, dict[str, Any]]:
    manifest = load_any_manifest(folder)
    left_out = {"kind", "files", "episodes", "tar_shards", "parents", "ancestors"}
    said = manifest.model_dump()
    facts = {key: value for key, value in said.items() if key not in left_out}
    if manifest.parents:
        facts["lineage"] = edits_of(said)
    num_successes, num_terminated = 0, 0
    tasks, lengths = Counter[str](), Counter[int]()
    for entry in manifest.entries(folder):
        num_successes += entry.success
        num_terminated += entry.terminated
        tasks[entry.task] += 1
        lengths[entry.num_steps] += 1
    sizes = {
        "num_successes": num_successes,
        "num_terminated": num_terminated,
        "num_episodes_of": dict(sorted(tasks.items())),
        "num_steps": f"{min(lengths)} to {max(lengths)}",
        "num_files": len(files_of(manifest)),
        "megabytes": round(sum(file.size for file in files_of(manifest)) / 1e6, 3),
    }
    hashes = {MANIFEST: sha256_file(folder / MANIFEST)}
    return f"{folder}: dataset of {manifest.kind}", {**facts, **sizes, "sha256": hashes}


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: sha256_file(path) for path in files}
