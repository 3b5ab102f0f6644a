"""The report as one HTML file that needs no other: images and videos are inside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Row = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure: its name as a file, what it shows, its PNG bytes."""

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True, eq=False)
class Section:
    """A table with what belongs to it; all of it may be missing.

    Attributes:
        note: a paragraph before it.
        header, rows: the table; the first `num_left` columns hold words.
        num_left: see there.
        figures: in their order.
        details: title, header and rows of tables that are folded away; see `num_left`.
    """

    note: str = ""
    header: Row = ()
    rows: Sequence[Row] = ()
    num_left: int = 1
    figures: Sequence[Figure] = ()
    details: Sequence[tuple[str, Row, Sequence[Row]]] = ()

    def inlined(self) -> dict[str, Any]:
        """The same for a template, figures as caption and data URL."""
        figures = [(figure.caption, inline("png", figure.png)) for figure in self.figures]
        return {**vars(self), "figures": figures}


@dataclass(frozen=True, eq=False)
class Page:
    """Everything the template shows, as text ready to be printed.

    Attributes:
        tiles: (value, label), the headline numbers.
        images: PNG bytes by name: likelihood and, where there are any, rollouts and contact_sheet.
        results: of the runs, task by task.
        aggregates: of methods, over all tasks and seeds.
        audited: what an audit said beside what happened; empty where there was none.
        correlations: of both, over tasks.
        videos: (caption, GIF bytes).
        not_judged: why there are no rollouts of the prior; "" where there are.
        prior_rows: (measure, value).
        parts: what other methods start from, beside the prior.
        data_rows: (task, episodes, succeeded, kept, failures by reason).
        spec_rows: (name, what it is, mean, deviation, least, greatest) of what episodes hold.
        sheet_caption: what images the contact sheet shows.
        hashes: SHA-256 by name of file.
        values: (title, text), the params behind it all.
    """

    tiles: Sequence[tuple[str, str]]
    images: Mapping[str, bytes]
    results: Section
    aggregates: Section
    audited: Section
    correlations: Section
    videos: Sequence[tuple[str, bytes]]
    not_judged: str
    prior_rows: Sequence[tuple[str, str]]
    parts: Section
    data_rows: Sequence[Row]
    spec_rows: Sequence[Row]
    sheet_caption: str
    hashes: Mapping[str, str]
    values: Sequence[tuple[str, str]]


def render(page: Page) -> str:
    """The page's HTML: the same bytes for the same content."""
    inlined = {
        "images": {name: inline("png", data) for name, data in page.images.items()},
        "videos": [(caption, inline("gif", data)) for caption, data in page.videos],
        **{name: part.inlined() for name, part in vars(page).items() if isinstance(part, Section)},
    }
    return fill("template.html", {**vars(page), **inlined})


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A template of this folder with its values, which must be all that it names."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(**values) + "\n"


def inline(kind: str, data: bytes) -> str:
    """An image as a data URL; `kind` is "png" or "gif"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
