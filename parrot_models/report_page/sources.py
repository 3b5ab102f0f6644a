"""What a report came from, by hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from parrot_data.stores.publish import sha256_file
from parrot_models.report_page.judged import Judgement
from parrot_models.report_page.learning import Run


def source_hashes(
    data: Path,
    kept: Path,
    prior: Path,
    parts: Mapping[str, Path],
    judgements: Sequence[Judgement],
    runs: Sequence[Run],
    audited: Path | None = None,
) -> dict[str, str]:
    """SHA-256 of every input, under names that do not depend on where the inputs lie.

    The shards' manifest holds the hashes of the shards, and of what they were made from.
    """
    named = {"shards/manifest.json": data / "manifest.json"}
    folders = {"kept": kept, "prior": prior}
    folders |= {f"parts/{name}": folder for name, folder in parts.items()}
    folders |= {f"judged/{each.folder.name}": each.folder for each in judgements if each.folder}
    folders |= {"audited": audited} if audited else {}
    folders |= {"/".join(("runs", *run.key)): run.folder for run in runs}
    for label, folder in folders.items():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        named |= {f"{label}/{path.relative_to(folder).as_posix()}": path for path in files}
    return {name: sha256_file(path) for name, path in named.items()}
