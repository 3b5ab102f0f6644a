"""The page that travels with a judgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTE = """\
Rollouts are in scenes that no data show, the same for every policy: `sampled` is the model by
itself (actions, or latents, drawn from it), `mode` a prior at z = 0, `random` uniform actions.
Rates without a family are means over the families. Demonstrations to reproduce are those in unseen
scenes that succeeded. `reach` is the share of the actions of such demonstrations, and of uniform
ones where these were taken, that an agent over the prior's z can produce: in a box of |z|, in one
with an edit of the action on top, or without a box, where it is what f gives back once inverted.
`probe_error` is the distance of a linear probe's guess from the privileged
array, in that array's units, on scenes held out from the fit."""


def judgement_card(lineage: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what was judged, where, and what came of it."""
    world = lineage["params"]["environment"]["name"]
    hashes = "\n".join(
        f"- `{name}`: SHA-256 `{digest}`"
        for name, digest in sorted(lineage["model_sha256"].items())
    )
    rows = "\n".join(f"| {name} | {value} |" for name, value in _rows(metrics))
    return f"""# Judged: {metrics["kind"]}

The model by itself in the world `{world}`, before any task was learned.

{hashes}

| metric | value |
|---|---|
{rows}

{NOTE}
"""


def _rows(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in sorted(metrics.items()):
        if isinstance(value, Mapping):
            rows += _rows(value, f"{prefix}{name}: ")
        elif isinstance(value, list):  # of reach, a row for each of the limits
            rows += [row for reached in value for row in _reach_rows(reached)]
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", shown))
    return rows


def _reach_rows(reached: Mapping[str, Any]) -> list[tuple[str, str]]:
    bound, edit = reached["latent_bound"], reached["edit_scale"]
    limits = "any z" if bound is None else f"|z| <= {bound:g}"
    said = f"reach: {limits}" + (f", edits of {edit:g}" if edit else "")
    said = said.replace("|", r"\|")  # in a table of Markdown
    return [(f"{said}: {name}", f"{reached[name]:.4g}") for name in ("demonstrated", "uniform")]
