"""What an artefact says of itself: its kind, its numbers and params, the hashes of its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cli.lineage import edits_of, lineage
from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST, files_of, load_any_manifest
from parrot_data.stores.publish import read_json, sha256_file
from parrot_data.stores.seal import check_seal, is_sealed

# By the file that gives a kind away: what the folder is, and which of its files say more.
KINDS = (
    ("kept.json", "the decision of filter", ("summary.json",)),
    ("index.html", "report", ("summary.json",)),
    ("curve.csv", "run of finetune", ("metrics.json", "config.json")),
    ("policy.safetensors", "behaviour-cloned policy", ("metrics.json", "config.json")),
    ("audit.png", "audit of a prior", ("metrics.json", "config.json")),
    ("exploration.csv", "measures of exploration", ("config.json",)),
    ("prior.safetensors", "behavioural prior", ("metrics.json", "config.json")),
    ("history.csv", "what a baseline starts from", ("metrics.json", "config.json")),
    ("split.json", "parts of a dataset", ("split.json",)),
    ("metrics.json", "judgement of a model", ("metrics.json", "config.json")),
)
WITH_LINEAGE = ("run of finetune", "behavioural prior", "what a baseline starts from")


def describe(path: Path, data: Path) -> tuple[str, dict[str, Any]]:
    """Title and facts of an artefact; a file stands for the folder it lies in.

    Args:
        path: the artefact.
        data: where the shards lie, for the lineage of a prior or a run.

    Raises:
        UserError: nothing is there, it is no output of a stage, or was changed after it was made.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: name an output of a stage, such as data/shards")
    folder = path if path.is_dir() else path.parent
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
            return f"{folder}: {kind}", {"sha256": _hashes(folder), **facts}
    raise UserError(
        f"{folder} is no output of a stage: it holds neither {MANIFEST} nor "
        f"{', '.join(sign for sign, _, _ in KINDS)}"
    )


def _dataset(folder: Path) -> tuple[str, dict[str, Any]]:
    manifest = load_any_manifest(folder)
    left_out = {"kind", "files", "episodes", "tar_shards", "parents", "ancestors"}
    said = manifest.model_dump()
    facts = {key: value for key, value in said.items() if key not in left_out}
    if manifest.parents or manifest.ancestors:
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
