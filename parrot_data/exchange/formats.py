"""The formats of others, all of them: the one table that `import`, `export` and docs go by."""

from __future__ import annotations

from parrot_data.errors import UserError
from parrot_data.exchange import (
    diffusion_policy,
    lerobot,
    minari_format,
    npz,
    rlds,
    robomimic,
    webdataset_format,
)
from parrot_data.exchange.format import Format

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        robomimic.FORMAT,
        minari_format.FORMAT,
        npz.FORMAT,
        diffusion_policy.FORMAT,
        lerobot.FORMAT,
        lerobot.VIDEO_FORMAT,
        rlds.FORMAT,
        webdataset_format.FORMAT,
    )
}


def format_of(name: str) -> Format:
    """The format of a name on the command line.

    Raises:
        UserError: there is none.
    """
    if name not in FORMATS:
        raise UserError(f"--format {name!a} is none of {', '.join(FORMATS)}: name one of them")
    return FORMATS[name]


def table() -> str:
    """What each format holds to the last bit, as a table of Markdown."""
    rows: list[tuple[str, ...]] = [
        ("`--format`", "of", "an export is", "observations", "rewards", "terminated", "task",
         "success", "bounds"),
        ("---",) * 9,
    ]  # fmt: skip
    for each in FORMATS.values():
        holds = each.holds
        rows.append(
            (
                f"`{each.name}`", each.title, each.layout,
                "T + 1" if holds.observations == "all" else "T, not the last",
                *map(_said, (holds.rewards, holds.terminated, holds.task, holds.success)),
                _said(each.says_bounds),
            )
        )  # fmt: skip
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _said(is_held: bool) -> str:
    return "yes" if is_held else "no"
