"""The report as one HTML file that needs no other: pictures and videos are inside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources

from jinja2 import Environment, StrictUndefined

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
    source = resources.files(__package__).joinpath("template.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    inlined = {
        "pictures": {name: _inline("png", data) for name, data in page.pictures.items()},
        "videos": [(caption, _inline("gif", data)) for caption, data in page.videos],
    }
    return template.render(**{**asdict(page), **inlined}) + "\n"


def _inline(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
