"""The report as one HTML file that needs no other: pictures and videos are inside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Row = tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything the template shows, as text ready to be printed.

    Attributes:
        tiles: (value, label), the headline numbers.
        pictures: PNG bytes by name: learning_curves, likelihood, rollouts, contact_sheet.
        result_header, result_rows: the results table; rows of a "mean" are set off.
        videos: (caption, GIF bytes).
        prior_rows: (measure, value).
        data_rows: (task, episodes, succeeded, kept, failures by reason).
        hashes: SHA-256 by name of file.
        values: (title, text), the params behind it all.
    """

    tiles: Sequence[tuple[str, str]]
    pictures: Mapping[str, bytes]
    result_header: Row
    result_rows: Sequence[Row]
    videos: Sequence[tuple[str, bytes]]
    prior_rows: Sequence[tuple[str, str]]
    data_rows: Sequence[Row]
    hashes: Mapping[str, str]
    values: Sequence[tuple[str, str]]


def render(page: Page) -> str:
    """The page's HTML: the same bytes for the same content."""
    inlined = {
        "pictures": {name: inline("png", data) for name, data in page.pictures.items()},
        "videos": [(caption, inline("gif", data)) for caption, data in page.videos],
    }
    return fill("template.html", {**asdict(page), **inlined})


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A template of this folder with its values, which must be all that it names."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(**values) + "\n"


def inline(kind: str, data: bytes) -> str:
    """A picture as a data URL; `kind` is "png" or "gif"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
