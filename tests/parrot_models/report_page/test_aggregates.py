"""What is said of methods over tasks and seeds obeys the laws of what it claims to be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from parrot_data.errors import UserError
from parrot_models.report_page.aggregate_tables import as_json, note, rows
from parrot_models.report_page.aggregates import THRESHOLDS, Aggregates, Bootstrap, aggregate
from parrot_models.report_page.learning import Curve, Run, RunKey
from parrot_models.report_page.sections import aggregates_section, aggregates_text

BOOTSTRAP = Bootstrap(draws=500, seed=0)
# By method and task, success a seed.
Scores = Mapping[str, Mapping[str, Sequence[float]]]
SCORES: Scores = {
    "sac": {"pick": (0.0, 0.1, 0.05, 0.2), "place": (0.0, 0.0, 0.0, 0.3)},
    "parrot": {"pick": (0.9, 0.8, 0.95, 0.7), "place": (0.6, 0.1, 0.5, 0.4)},
    "hirl": {"pick": (0.5, 0.1, 0.95, 0.7), "place": (0.3, 0.2, 0.0, 0.4)},
}


def runs_of(scores: Scores) -> list[Run]:
    nothing = np.zeros(1)
    return [
        Run(
            key=RunKey(task, method, str(seed)),
            folder=Path(),
            curve=Curve(nothing, nothing, nothing),
            success_rate=score,
            untrained_success_rate=0.0,
            untrained_mode_success_rate=None,
            outcomes={},
            steps_to_50=None,
            steps_to_80=None,
            env_steps=0,
            video=None,
        )
        for method, by_task in scores.items()
        for task, of_seeds in by_task.items()
        for seed, score in enumerate(of_seeds)
    ]


def found_in(scores: Scores, bootstrap: Bootstrap = BOOTSTRAP) -> Aggregates:
    return aggregate(runs_of(scores), bootstrap)


def text_of(runs: Sequence[Run], bootstrap: Bootstrap) -> str:
    return json.dumps(as_json(aggregate(runs, bootstrap), bootstrap), sort_keys=True)


def test_equal_scores_are_their_own_iqm_mean_and_interval() -> None:
    found = found_in({"a": {"pick": (0.3,) * 4, "place": (0.3,) * 4}})
    for estimate in (found.iqm["a"], found.mean["a"]):
        assert estimate.low is not None
        assert estimate.high is not None
        np.testing.assert_allclose((estimate.value, estimate.low, estimate.high), 0.3)
    np.testing.assert_array_equal(found.profile["a"].value, THRESHOLDS < 0.3)


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    scores = {"a": {"pick": (0.0, 0.4, 0.5, 1.0), "place": (0.6, 0.1, 0.7, 0.9)}}
    assert float(found_in(scores).iqm["a"].value) == pytest.approx((0.4 + 0.5 + 0.6 + 0.7) / 4)
    # The worst run of all may be as bad as it likes
    worse = {"a": {**scores["a"], "place": (0.6, 0.0, 0.7, 0.9)}}
    assert found_in(worse).iqm["a"].value == found_in(scores).iqm["a"].value


def test_intervals_hold_their_estimates() -> None:
    found = found_in(SCORES)
    improvements = [e for of_method in found.improvement.values() for e in of_method.values()]
    of_methods = (found.iqm, found.mean, found.profile)
    for estimate in [*improvements, *(e for by in of_methods for e in by.values())]:
        assert estimate.low is not None
        assert estimate.high is not None
        assert np.all(estimate.low <= estimate.value)
        assert np.all(estimate.value <= estimate.high)


def test_one_of_two_methods_is_above_the_other_or_they_tie() -> None:
    found = found_in(SCORES)
    for one, other in itertools.permutations(SCORES, 2):
        there, back = found.improvement[one][other], found.improvement[other][one]
        assert float(there.value + back.value) == pytest.approx(1)
        assert there.low is not None
        assert back.high is not None
        assert float(there.low + back.high) == pytest.approx(1)


def test_improvement_counts_pairs_of_runs_within_a_task() -> None:
    scores = {
        "a": {"pick": (0.5, 0.7), "place": (0.1, 0.2)},
        "b": {"pick": (0.5, 0.6), "place": (0.3, 0.4)},
    }
    # Of four pairs on pick two are won and one is tied; on place all are lost
    assert float(found_in(scores).improvement["a"]["b"].value) == pytest.approx((2.5 / 4 + 0) / 2)


def test_tasks_are_strata() -> None:
    # Seeds agree within each task: nothing is left to resample, however far apart tasks are
    found = found_in({"a": {"pick": (1.0, 1.0), "place": (0.0, 0.0)}})
    assert found.mean["a"].low == found.mean["a"].high == 0.5
    # The same scores in other strata do leave something
    mixed = found_in({"a": {"pick": (1.0, 0.0), "place": (0.0, 1.0)}})
    assert mixed.mean["a"].low is not None
    assert float(mixed.mean["a"].low) < 0.5


def test_the_order_of_runs_changes_nothing() -> None:
    runs = runs_of(SCORES)
    shuffled = [runs[place] for place in np.random.default_rng(0).permutation(len(runs))]
    assert text_of(shuffled, BOOTSTRAP) == text_of(runs, BOOTSTRAP)


def test_names_of_seeds_change_nothing() -> None:
    turned = {m: {t: tuple(reversed(s)) for t, s in by.items()} for m, by in SCORES.items()}
    assert text_of(runs_of(turned), BOOTSTRAP) == text_of(runs_of(SCORES), BOOTSTRAP)


def test_chance_comes_from_the_seed_alone() -> None:
    runs = runs_of(SCORES)
    assert text_of(runs, BOOTSTRAP) == text_of(runs, BOOTSTRAP)
    others = [Bootstrap(BOOTSTRAP.draws, seed) for seed in range(1, 4)]
    estimates = [aggregate(runs, other).mean["hirl"].low for other in others]
    assert len({float(low) for low in estimates if low is not None}) > 1


@pytest.mark.parametrize("cell", [("pick", "3"), ("place", "0")])
def test_a_method_without_a_run_that_others_have_is_named(cell: tuple[str, str]) -> None:
    runs = [run for run in runs_of(SCORES) if run.key != (cell[0], "hirl", cell[1])]
    with pytest.raises(UserError, match=f"hirl has no run of {cell[0]} with seed {cell[1]}"):
        aggregate(runs, BOOTSTRAP)


def test_a_task_of_one_seed_has_no_interval() -> None:
    found = found_in({m: {t: s[:1] for t, s in by.items()} for m, by in SCORES.items()})
    assert found.iqm["parrot"].low is None
    assert "No intervals" in note(found, BOOTSTRAP)
    assert [row[3] for row in rows(found, "parrot")] == ["-"] * 3
    assert " to " not in aggregates_text(found, BOOTSTRAP)
    assert '"low": null' in json.dumps(as_json(found, BOOTSTRAP))


def test_one_run_a_method_is_no_statistic() -> None:
    found = found_in({"parrot": {"pick": (0.9,)}, "sac": {"pick": (0.1,)}})
    section = aggregates_section(found, BOOTSTRAP)
    assert not section.rows
    assert not section.figures
    assert "one run" in section.note
    assert aggregates_text(found, BOOTSTRAP) == ""
    assert as_json(found, BOOTSTRAP) == {}


def test_table_is_ranked_and_names_the_reference() -> None:
    lines = aggregates_text(found_in(SCORES), BOOTSTRAP).splitlines()
    assert "P(above parrot)" in lines[0]
    assert [line.split()[0] for line in lines[2:5]] == ["parrot", "hirl", "sac"]


def test_intervals_of_few_seeds_are_said_to_be_narrow() -> None:
    assert "With 4 seeds they are about 13% too narrow" in note(found_in(SCORES), BOOTSTRAP)
    many = {"a": {"pick": np.linspace(0, 1, 10).tolist()}}
    assert "narrow" not in note(found_in(many), BOOTSTRAP)
