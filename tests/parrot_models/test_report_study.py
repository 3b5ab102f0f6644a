"""A study's page says what its files say, and refuses files that do not belong to it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import seal
from parrot_models.report_study import StudyParams, report_study

TASKS, SEEDS = ("pick-cup", "place-can-in-pan"), ("0", "1")
PRIORS = {"1000": 990, "50": 50, "200": 200}
FAMILIES = ("pick", "stack")
PARAMS = StudyParams(episodes="", priors=list(PRIORS), tasks=list(TASKS), seeds=list(SEEDS))


def success(num_kept: int, seed: str) -> float:
    return num_kept / 1000 - 0.01 * int(seed)


def write_run(folder: Path, rate: float) -> None:
    folder.mkdir(parents=True)
    (folder / "curve.csv").write_text(f"env_steps,success_rate,num_episodes\n100,{rate},20\n")
    metrics = {"success_rate": rate, "untrained_success_rate": rate / 2, "env_steps": 100}
    write_json(folder / "metrics.json", {**metrics, "steps_to_50": None, "steps_to_80": None})
    for name in ("config.json", "agent.safetensors"):
        (folder / name).write_text(f"{name} of {folder.name}")
    seal(folder, [path.name for path in folder.iterdir()])


def write_judged(study: Path, name: str, rate: float, families: tuple[str, ...] = FAMILIES) -> None:
    folder = study / "judged" / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = sha256_file(study / "models" / name / "prior.safetensors")
    write_json(folder / "config.json", {"model_sha256": {"prior.safetensors": weights}})
    rates = {"success_rate": rate, "any_object_rate": rate + 0.0025}
    sampled = {**rates, "families": dict.fromkeys(families, rates)}
    write_json(folder / "metrics.json", {"rollouts": {"sampled": sampled} if families else {}})
    seal(folder, ["config.json", "metrics.json"])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for name, num_kept in PRIORS.items():
        (folder / "kept" / name).mkdir(parents=True)
        write_json(folder / "kept" / name / "summary.json", {"num_kept": num_kept})
        write_json(folder / "kept" / name / "kept.json", {"of": name})
        (folder / "models" / name).mkdir(parents=True)
        write_json(folder / "models" / name / "metrics.json", {"log_prob_per_dim": num_kept / 1000})
        for file in ("config.json", "prior.safetensors"):
            (folder / "models" / name / file).write_text(name)
        seal(folder / "models" / name, ["metrics.json", "config.json", "prior.safetensors"])
        write_judged(folder, name, num_kept / 1000)
        for task, seed in itertools.product(TASKS, SEEDS):
            run = folder / "runs" / name / task / "parrot" / seed
            write_run(run, success(num_kept, seed))
    for task, seed in itertools.product(TASKS, SEEDS):
        write_run(folder / "scratch" / task / "sac" / seed, 0.125)
    return folder


def table(study: Path, kind: str, out: str = "out") -> list[list[str]]:
    text = report_study(kind, PARAMS, study, study.parent / out)
    assert (study.parent / out / "table.txt").read_text() == f"{text}\n"
    return [line.split() for line in text.splitlines()[2:]]


def test_dataset_size_orders_priors_by_what_was_kept(study: Path) -> None:
    rows = table(study, "dataset-size")
    assert [row[0] for row in rows] == ["50", "200", "990", "no"]
    assert [row[-1] for row in rows] == ["0.04", "0.20", "0.98", "0.12"]  # means over seeds
    summary = json.loads((study.parent / "out" / "summary.json").read_text())
    assert [prior["num_kept"] for prior in summary["priors"]] == [50, 200, 990]
    assert len(summary["scratch"]) == len(TASKS) * len(SEEDS)
    assert summary["priors"][0]["stack_rollout_success_rate"] == 0.05
    assert "stack: any object" in (study.parent / "out" / "table.txt").read_text()


def test_mismatch_keeps_the_order_of_its_params(study: Path) -> None:
    assert [row[0] for row in table(study, "mismatch")] == list(PRIORS)


@pytest.mark.parametrize("kind", ["dataset-size", "mismatch"])
def test_same_inputs_make_the_same_bytes_and_name_their_hashes(study: Path, kind: str) -> None:
    table(study, kind, "a")
    table(study, kind, "b")
    names = [p.relative_to(study.parent / "a") for p in (study.parent / "a").rglob("*.*")]
    assert len(names) >= 4
    for name in names:
        first, second = (study.parent / out / name for out in "ab")
        assert first.read_bytes() == second.read_bytes()
    html = (study.parent / "a" / "index.html").read_text()
    for path in (study / "models").rglob("*.*"):
        assert sha256_file(path) in html
    for path in (study / "judged").rglob("*.json"):
        assert sha256_file(path) in html


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("runs/50/pick-cup/parrot/1", "study.priors, study.tasks and study.seeds"),
        ("scratch/place-can-in-pan/sac/0", "is missing"),
        ("models/200/metrics.json", "is missing"),
        ("kept/50/summary.json", "is missing"),
        ("judged/1000", "holds no rollouts"),
    ],
)
def test_what_is_missing_is_named(study: Path, path: str, words: str) -> None:
    (study / path).rename(study.parent / "aside")
    with pytest.raises(UserError, match=path) as caught:
        table(study, "dataset-size")
    assert words in str(caught.value)
    assert not (study.parent / "out").exists()


@pytest.mark.parametrize("path", ["runs/70/pick-cup/parrot/0", "runs/50/pick-2/parrot/0"])
def test_what_is_left_over_is_named(study: Path, path: str) -> None:
    (study / path).mkdir(parents=True)
    with pytest.raises(UserError, match="left over"):
        table(study, "mismatch")


def test_priors_judged_by_other_measures_are_named(study: Path) -> None:
    write_judged(study, "200", 0.5, ("pick",))
    with pytest.raises(UserError, match=r"judged/200 has other families or rates than judged/1000"):
        table(study, "mismatch")


def test_exploration_shows_whatever_the_world_tells(study: Path) -> None:
    rows = [
        {
            "policy": policy, "family": family, "num_episodes": 2, "success_rate": 0.5,
            "spilled_rate": 0.25, "moved_rate": 1.0, "tool_cells": 3.0, "tool_entropy": 1.0,
            "object_cells": 2.0, "object_entropy": 0.5, "heat_step_rate": 0.125,
            "action_jerk": 0.75,
        }
        for family in FAMILIES
        for policy in ("random", "prior |z|<1", "prior", "script")
    ]  # fmt: skip
    del rows[0]["spilled_rate"]  # not told of in every family
    (study / "explored").mkdir()
    write_json(study / "explored" / "metrics.json", {"rows": rows})
    (study / "explored" / "config.json").write_text("{}")
    text = report_study("exploration", None, study, study.parent / "out")
    assert "spilled" in text
    assert "heat" in text
    assert {path.name for path in (study.parent / "out" / "figures").iterdir()} == {
        *("objects.png", "coverage.png", "safety.png")
    }
    assert "-" in text.splitlines()[2].split()


def test_an_unknown_kind_is_named(study: Path) -> None:
    with pytest.raises(UserError, match="no study 'size'; choose one of dataset-size, mismatch"):
        table(study, "size")
