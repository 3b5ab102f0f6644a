"""Laws of the table: what a ratio is, when a target is met, and that every figure has one."""

from __future__ import annotations

import pytest

from benchmarks.bench import GROUPS
from benchmarks.row import (
    Figures,
    Result,
    Row,
    Target,
    at_least,
    at_least_itself,
    at_most,
    at_most_itself,
)

# Every line of the table of targets: names of the rows that measure it, and their bounds.
TARGETS = {
    "env steps": {"env steps, three objects, resets and image": [">= 0.88x"]},
    "env steps, absolute": {"the same, absolute": [">= 800"]},
    "reset": {"reset": [">= 10x"]},
    "attempts": {"scripted attempts, two workers": [">= 1.9x", ">= 140,000"]},
    "stages": {"generate to shards, whole stages": ["<= 1.15x"]},
    "sharding": {
        "shard, two workers": ["<= 0.75x"],
        "shard, the part of one process": ["<= 0.25x"],
    },
    "loader": {"batches from shards to the training step": [">= 3x"]},
    "flow sample": {"flow sample, batch 1": [">= 2.5x", ">= 4x"]},
    "acting": {"acting (encode, actor, flow), batch 1": [">= 3x"]},
    "flow training": {
        "flow training step, batch 256, fp32": [">= 1x"],
        "flow training step, batch 1024, fp32": [">= 1x"],
        "flow training step, batch 256, bf16": [">= 1.5x"],
        "flow training step, batch 1024, bf16": [">= 1.5x"],
        "flow density, fp32": ["<= 0.001"],
        "flow density, bf16": ["<= 0.001"],
    },
    "prior training": {
        "prior training step with encoder, batch 256": [">= 2x"],
        "prior training step with encoder, batch 1024": [">= 2.7x"],
    },
    "several processes": {"prior training steps, two ranks, same global batch": [">= 1.5x"]},
    "streaming": {"prior training steps on streamed tars": [">= 0.8x"]},
    "sac pixels": {"SAC update, pixels, batch 256": [">= 3x"]},
    "sac features": {"SAC update, frozen encoder with cached features": [">= 13x"]},
    "run": {
        "100k env steps of PARROT, update-to-data 1, cached features": ["<= 30"],
        "100k env steps of PARROT, update-to-data 1, an encoder trained end to end": ["<= 120"],
    },
    "dvc": {"dvc repro with nothing to do": ["<= 1.3x"]},
    "memory": {
        "memory of a 100k-step fine-tune, cached features": ["<= 1.5x + 1"],
        "memory of a 100k-step fine-tune, an encoder trained end to end": ["<= 1.5x + 1"],
    },
    "cluster": {
        "generation by Ray on one machine": ["<= 1.1x"],
        "a sweep of one-minute runs by Ray on one machine": ["<= 1.1x"],
    },
    "growth": {
        f"growth of {what}, {stage}": [bound]
        for stage in (
            "generate",
            "generate, storing alone",
            "shard",
            "verify",
            "select",
            "merge",
            "diff",
            "export to lerobot",
            "export to robomimic",
            "export to diffusion-policy",
            "import from lerobot",
            "import from robomimic",
            "import from diffusion-policy",
            "training step",
        )
        for what, bound in (("cost", "<= 1.2x"), ("memory", "<= 1.2x + 16"))
    },
    "entries": {
        **{
            f"a million entries, {what}, {stage}": [bound]
            for stage in ("gather", "filter", "shard", "verify", "diff")
            for what, bound in (("cost", "<= 1.2x"), ("memory", "<= 1.2x + 16"))
        },
        **{
            f"size, {what}": []
            for what in (
                "a raw episode",
                "a sharded episode",
                "an entry",
                "a file in a manifest",
            )
        },
    },
}
ALL_ROWS = [row for rows in GROUPS.values() for row in rows]


def test_every_target_has_its_rows_and_every_row_its_target() -> None:
    wanted = {name: bounds for rows in TARGETS.values() for name, bounds in rows.items()}
    found: dict[str, list[str]] = {}
    for row in ALL_ROWS:
        found.setdefault(row.name, []).extend(str(target) for target in row.targets)
    assert found == wanted


def test_a_target_on_a_ratio_names_whom_it_is_against() -> None:
    for row in ALL_ROWS:
        assert row.rival or not any(target.of == "ratio" for target in row.targets), row.name


def test_a_ratio_is_ours_over_the_rivals() -> None:
    assert Figures(6.0, 2.0).ratio == 3.0
    assert Figures(6.0, None).ratio is None


@pytest.mark.parametrize(
    ("target", "ours", "rivals", "is_met"),
    [
        (at_least(3.0), 6.0, 2.0, True),
        (at_least(3.0), 5.9, 2.0, False),
        (at_most(1.5), 3.0, 2.0, True),
        (at_most(1.5), 3.1, 2.0, False),
        (at_most(1.5, allowance=1.0), 4.0, 2.0, True),
        (at_most(1.5, allowance=1.0), 4.1, 2.0, False),
        (at_least_itself(800.0), 800.0, 5000.0, True),
        (at_least_itself(800.0), 799.0, 1.0, False),
        (at_most_itself(30.0), 30.0, None, True),
        (at_most_itself(30.0), 31.0, None, False),
    ],
)
def test_met_means_on_the_right_side_of_the_bound(
    target: Target, ours: float, rivals: float | None, is_met: bool
) -> None:
    assert target.is_met(Figures(ours, rivals)) is is_met


def test_a_ratio_cannot_be_met_without_a_rival() -> None:
    with pytest.raises(ValueError, match="rival"):
        at_least(1.0).is_met(Figures(1.0, None))


def test_a_row_is_met_when_all_its_targets_are_and_unknown_when_not_measured() -> None:
    row = Row("speed", "the wind", "m/s", (at_least(2.0), at_least_itself(5.0)), lambda _: None)
    assert Result("group", row, Figures(6.0, 2.0)).is_met is True
    assert Result("group", row, Figures(4.0, 2.0)).is_met is False
    assert Result("group", row, Figures(6.0, 4.0)).is_met is False
    assert Result("group", row, None, "no wind").is_met is None
