"""What `parrot init` writes projects from: package data, some of it links to this repository's own.

`params.yaml`, Meta-World's and `pipeline.yaml`, of `dvc.yaml`, are links: a wheel gets their
content, and there is one source of each. Another dvc.yaml DVC would take for a pipeline to run.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("templates")


def template(name: str) -> str:
    """The text of a file of the package."""
    return (FOLDER / name).read_text(encoding="utf-8")
