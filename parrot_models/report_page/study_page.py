"""A study as a page, a table and numbers: what every kind of study hands to the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_models.report_page.page import Figure, Row, fill, inline


@dataclass(frozen=True, eq=False)
class Study:
    """What a study found.

    Attributes:
        title: of the page.
        question: what was asked, in a sentence or two.
        header, rows: the table; the first `num_left` columns hold words.
        num_left: see there.
        figures: in their order.
        notes: how it was measured, a paragraph each.
        summary: the same as JSON values.
        sources: files behind it, under names that do not depend on where they lie.
    """

    title: str
    question: str
    header: Row
    rows: Sequence[Row]
    num_left: int
    figures: Sequence[Figure]
    notes: Sequence[str]
    summary: Mapping[str, Any]
    sources: Mapping[str, Path]


def render_study(study: Study, hashes: Mapping[str, str]) -> str:
    """The page's HTML, its figures inside it: the same bytes for the same content."""
    values = {
        "title": study.title,
        "question": study.question,
        "header": study.header,
        "rows": study.rows,
        "num_left": study.num_left,
        "figures": [(figure.caption, inline("png", figure.png)) for figure in study.figures],
        "notes": study.notes,
        "hashes": hashes,
    }
    return fill("study.html", values)
