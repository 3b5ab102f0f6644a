"""What is read off learning curves is what a reader would read off them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from parrot_data.errors import UserError
from parrot_models.report_page.judged import Judgement
from parrot_models.report_page.learning import (
    Curve,
    Run,
    RunKey,
    band_of,
    read_columns,
    read_curve,
    wilson_interval,
)
from parrot_models.report_page.method_figures import lines_of
from parrot_models.report_page.reach import MEASURES, with_reach
from parrot_models.report_page.tables import (
    as_text,
    curves_csv,
    final_success,
    header_of,
    header_of_seeds,
    result_rows,
    results_as_text,
    run_entry,
    seed_rows,
)


def curve(rates: list[float], step: int = 100, num_episodes: int = 20) -> Curve:
    steps = np.arange(len(rates), dtype=np.float64) * step
    return Curve(steps, np.array(rates), np.full(len(rates), float(num_episodes)))


def run(
    method: str, seed: str, rates: list[float], task: str = "pick-1", steps_to_50: int | None = None
) -> Run:
    return Run(
        key=RunKey(task, method, seed),
        folder=Path(),
        curve=curve(rates),
        success_rate=rates[-1],
        untrained_success_rate=rates[0],
        untrained_mode_success_rate=None,
        outcomes={},
        steps_to_50=steps_to_50,
        steps_to_80=None,
        env_steps=(len(rates) - 1) * 100,
        video=None,
    )


def test_band_is_the_mean_and_its_standard_error() -> None:
    rates = np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]])
    band = band_of([curve(list(row)) for row in rates])
    np.testing.assert_allclose(band.mean, [0.4, 0.6])
    half = 1.96 * 0.2 / np.sqrt(3)
    np.testing.assert_allclose(band.high - band.mean, half)
    np.testing.assert_allclose(band.mean - band.low, half)


def test_band_stays_a_probability_and_ends_with_the_shortest_run() -> None:
    band = band_of([curve([0.0, 1.0, 1.0]), curve([1.0, 1.0])])
    assert band.env_steps.tolist() == [0, 100]
    assert band.low.min() >= 0
    assert band.high.max() <= 1


def test_curves_on_different_grids_meet_by_interpolation() -> None:
    band = band_of([curve([0.0, 0.5, 1.0], step=50), curve([0.0, 1.0], step=100)])
    assert band.env_steps.tolist() == [0, 50, 100]
    np.testing.assert_allclose(band.mean, [0.0, 0.5, 1.0])


def test_wilson_interval_against_known_values() -> None:
    # Newcombe (1998), table I, method 3: 81 of 263, and 0 of 20.
    low, high = wilson_interval(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    np.testing.assert_allclose(low, [0.2553, 0.0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_a_single_seed_has_the_interval_of_its_episodes() -> None:
    only = curve([0.5, 0.5], num_episodes=20)
    band = band_of([only])
    assert np.all(band.low < only.success_rate)
    assert np.all(only.success_rate < band.high)


def test_table_has_a_row_a_run_and_a_mean_of_several() -> None:
    runs = [
        run("a", "0", [0.1, 0.6], steps_to_50=100),
        run("a", "1", [0.3, 0.9], steps_to_50=50),
        run("b", "0", [0.0, 0.0]),
    ]
    assert result_rows(runs) == [
        ("pick-1", "a", "0", "0.10", "-", "0.60", "100", "-", "100"),
        ("pick-1", "a", "1", "0.30", "-", "0.90", "50", "-", "100"),
        ("pick-1", "a", "mean", "0.20", "-", "0.75", "75", "-", "100"),
        ("pick-1", "b", "0", "0.00", "-", "0.00", "-", "-", "100"),
    ]
    assert final_success(runs)["pick-1"]["a"]["success_rate"] == pytest.approx(0.75)


def test_what_is_known_of_the_reach_has_columns_of_its_own() -> None:
    known, unknown = run("a", "0", [0.1, 0.6]), run("b", "0", [0.1, 0.6])
    assert "reach" not in results_as_text([known, unknown])
    known = dataclasses.replace(known, reach={"demonstrated": 0.094, "uniform": 0.0})
    assert [row[6:8] for row in result_rows([known, unknown])] == [("0.09", "0.00"), ("-", "-")]
    assert header_of([known, unknown])[6:8] == ("reach demos", "reach uniform")
    assert header_of_seeds([known, unknown])[7:9] == ("reach demos", "reach uniform")
    assert [row[7:9] for row in seed_rows([known, unknown])] == [("0.09", "0.00"), ("-", "-")]
    assert "reach" not in run_entry(unknown)


def test_the_reach_of_a_run_is_that_of_its_limits_and_its_own_part(tmp_path: Path) -> None:
    agent = {"latent_bound": 2.0, "edit_scale": 0.2, "hold_steps": 1}
    (tmp_path / "config.json").write_text(json.dumps({"agent": agent}))

    def judged(scale: float) -> Judgement:
        limits = [(1.0, 0.0), (2.0, 0.0), (2.0, 0.2), (None, 0.0)]
        rows = [
            {"latent_bound": b, "edit_scale": e, "demonstrated": n * scale, "uniform": n * 0.0625}
            for n, (b, e) in enumerate(limits)
        ]
        return Judgement(metrics={"reach": rows})

    def reaches(judgements: Mapping[str, Judgement]) -> dict[str, Mapping[str, float]]:
        names = ("parrot", "parrot_edit", "parrot_box", "parrot_spline", "flow_matching", "sac")
        runs = [
            dataclasses.replace(run(name, "0", [0.0]), folder=tmp_path)
            for name in (*names, "hirl", "traj_rl")
        ]
        return {found.key.method: found.reach for found in with_reach(runs, judgements)}

    found = reaches({"prior": judged(0.125), "spline": judged(0.25)})
    assert found["parrot_box"] == {"demonstrated": 0.125, "uniform": 0.0625}
    assert found["parrot_edit"] == {"demonstrated": 0.25, "uniform": 0.125}
    assert found["parrot"] == {"demonstrated": 0.375, "uniform": 0.1875}
    assert found["parrot_spline"]["demonstrated"] == 0.75
    assert found["sac"] == {"demonstrated": 1.0, "uniform": 1.0}
    assert found["flow_matching"] == found["hirl"] == found["traj_rl"] == {}
    assert not any(reaches({"prior": Judgement()}).values())
    (tmp_path / "config.json").write_text(json.dumps({"agent": agent | {"last_latent_bound": 1.0}}))
    widened = dataclasses.replace(run("parrot_widening", "0", [0.0]), folder=tmp_path)
    assert with_reach([widened], {"prior": judged(0.125)})[0].reach == dict.fromkeys(MEASURES, 0.0)
    (tmp_path / "config.json").write_text(json.dumps({"agent": agent | {"hold_steps": 2}}))
    assert not any(reaches({"prior": judged(0.125)}).values())


def test_several_seeds_share_a_row() -> None:
    runs = [
        run("a", "0", [0.1, 0.6], steps_to_50=100),
        run("a", "1", [0.3, 0.9], steps_to_50=50),
        run("b", "0", [0.0, 0.0]),
        run("b", "1", [0.0, 0.1]),
    ]
    assert seed_rows(runs) == [
        ("pick-1", "a", "2", "0.20", "-", "0.75", "0.60 0.90", "75", "-", "100"),
        ("pick-1", "b", "2", "0.00", "-", "0.05", "0.00 0.10", "-", "-", "100"),
    ]
    assert len(results_as_text(runs).splitlines()) == 2 + len(seed_rows(runs))
    assert len(results_as_text(runs[::2]).splitlines()) == 2 + len(runs[::2])


def test_each_of_many_methods_has_its_own_line() -> None:
    methods = [f"method_{number}" for number in range(11)]
    lines = lines_of(methods + methods)
    assert list(lines) == methods
    assert len(set(lines.values())) == len(methods)
    assert lines_of(methods[:3]) == {name: lines[name] for name in methods[:3]}


def test_mean_steps_need_every_seed() -> None:
    quick = run("a", "0", [0.0, 0.6], steps_to_50=0)
    never = run("a", "1", [0.0, 0.1])
    assert [row[6] for row in result_rows([quick, never])] == ["0", "-", "-"]


def test_text_table_is_aligned() -> None:
    text = as_text(("name", "count"), [("a", "1"), ("long name", "1,000")], num_left=1)
    assert text.splitlines() == [
        "name       count",
        "---------  -----",
        "a              1",
        "long name  1,000",
    ]


def test_curves_for_dvc_average_over_tasks_and_seeds() -> None:
    runs = [run("a", "0", [0.0, 0.4]), run("a", "0", [0.2, 0.6], "place-1"), run("b", "0", [1.0])]
    assert curves_csv(runs).splitlines() == ["env_steps,a,b", "0,0.1,1", "100,0.5,"]


def test_empty_cells_are_not_numbers(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n0,\n1,2.5\n")
    values = read_columns(path, ("step", "loss"))
    np.testing.assert_array_equal(values["loss"], [np.nan, 2.5])


@pytest.mark.parametrize(
    "content",
    [None, "", "env_steps,success_rate\n1,2\n", "env_steps,success_rate,num_episodes\n1,x,3\n"],
)
def test_an_unreadable_curve_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "curve.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=str(path)):
        read_curve(path)
