"""Stage `parts`: what each method starts from, as one hash a method.

A run depends on its method's entry and on no other: another flow reruns what acts through a flow
and leaves the baselines alone, which a folder of all models as a dependency could not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from parrot_data.stores.outputs.file import file_to_write
from parrot_data.stores.outputs.layout import json_in
from parrot_data.stores.publish import json_text, sha256_file, sha256_sources, write_json
from parrot_models.methods.part import Part, is_trained, part_sha256
from parrot_models.methods.table import METHODS

SOURCES = Path(__file__).parent


def parts(models: Path, out: Path) -> dict[str, str | None]:
    """Write, by method, a hash of what it was pre-trained as and of the code of that.

    Args:
        models: folder that holds the parts, each under its name.
        out: file to write, JSON.

    Returns:
        What was written; None for a method whose part has not been trained.

    Raises:
        UserError: `out` is a folder, or a file that this stage did not write.
    """
    out = file_to_write(out, "parts", _is_own)
    hashes = {name: _hash(method.part, models) for name, method in METHODS.items()}
    write_json(out, hashes)
    return hashes


def _is_own(path: Path) -> bool:
    value = json_in(path)
    return isinstance(value, dict) and bool(value.keys() & METHODS.keys())


def _hash(part: Part[Any], models: Path) -> str | None:
    folder = models / part.name
    if not is_trained(folder):
        return None
    made_of = {"files": part_sha256(part, folder), "code": _code_sha256(part.code)}
    return hashlib.sha256(json_text(made_of).encode()).hexdigest()


def _code_sha256(code: tuple[str, ...]) -> dict[str, str]:
    paths = {name: SOURCES / name for name in code}
    return {
        name: sha256_sources(path) if path.is_dir() else sha256_file(path)
        for name, path in paths.items()
    }
