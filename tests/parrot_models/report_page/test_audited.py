"""What an audit said beside what happened: matched by task, of one prior, ranked as scipy ranks."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.seal import seal
from parrot_models.report_page.audited import Audited, TaskAudited, read_audited
from parrot_models.report_page.audited_figure import audit_against_outcome
from parrot_models.report_page.audited_section import audited_json, audited_sections, audited_text
from parrot_models.report_page.learning import Curve, Run, RunKey
from parrot_models.report_page.rank_correlations import by_chance, correlations

WORLD = {"name": "toy"}
RATES = {"sampled": 0.2, "mode": 0.4, "random": 0.0}


def measured(likelihood: float = 0.5, share: float = 0.3) -> dict[str, Any]:
    within = [{"latent_bound": bound, "all": share * bound} for bound in (1.0, 2.0)]
    return {"log_prob_per_dim": likelihood, "within": within}


def write_audit(folder: Path, prior: Path, **changes: Any) -> Path:
    """Of tasks a and b; of b it was rolled out too."""
    folder.mkdir(exist_ok=True)
    acted = {name: {"success_rate": rate} for name, rate in RATES.items()}
    metrics = {
        "tasks": {"a": measured(0.1), "b": measured(0.6)},
        "rollouts": {"b": acted},
        "is_training_data": False,
        **changes,
    }
    hashes = {path.name: sha256_file(path) for path in prior.iterdir()}
    config = {"prior_sha256": hashes, "params": {"audit": {}, "environment": WORLD}}
    write_json(folder / "config.json", config)
    write_json(folder / "metrics.json", metrics)
    seal(folder, ["config.json", "metrics.json"])
    return folder


def run_of(
    folder: Path,
    cell: str,
    prior: Path,
    success: float = 0.9,
    steps: int | None = None,
    bound: float = 1.0,
    world: dict[str, str] = WORLD,
) -> Run:
    """A run of a cell such as "a parrot 0"; `steps` are those to 0.8."""
    key = RunKey(*cell.split())
    place = folder.joinpath("runs", *key)
    place.mkdir(parents=True)
    hashes = {path.name: sha256_file(path) for path in prior.iterdir()}
    agent = {"reference_std": bound / 2}
    config = {"prior_sha256": hashes, "agent": agent, "environment": world}
    write_json(place / "config.json", config)
    curve = Curve(*(np.zeros(1) for _ in range(3)))
    return Run(key, place, curve, success, 0.0, None, 100, steps, 400, {}, None)


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    folder = tmp_path / "prior"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "prior.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def audit(tmp_path: Path, prior: Path) -> Path:
    return write_audit(tmp_path / "audited", prior)


def test_a_task_has_what_was_said_and_what_happened(
    tmp_path: Path, prior: Path, audit: Path
) -> None:
    runs = [
        run_of(tmp_path, "b parrot 0", prior, 0.8, 3000),
        run_of(tmp_path, "b parrot 1", prior, 0.6, None),
        run_of(tmp_path, "b parrot 2", prior, 1.0, 5000),
        run_of(tmp_path, "b sac 0", prior, 0.1),
        run_of(tmp_path, "b sac 1", prior, 0.3),
        run_of(tmp_path, "c parrot 0", prior),
    ]
    found = read_audited(audit, prior, runs)
    (task,) = found.tasks
    assert task == TaskAudited(
        task="b", log_prob_per_dim=0.6, within=0.3, sampled=0.2, mode=0.4,
        success_rate=pytest.approx(0.8), num_seeds=3, steps_to_50=100, num_reached_50=3,
        steps_to_80=5000, num_reached_80=2, others={"sac": pytest.approx(0.2)},
    )  # fmt: skip
    assert found.left_out == ["c"]
    text = audited_text(found)
    row = next(line for line in text.splitlines() if line.startswith("b "))
    cells = "b 0.60 0.30 0.20 0.40 0.80 100 (3 of 3) 5,000 (2 of 3) 0.20"
    assert row.split() == cells.split()
    assert "Not audited: c." in text


@pytest.mark.parametrize(
    ("steps", "median", "words"),
    [
        ([None], None, "never (0 of 1)"),
        ([100, None, None], None, "never (1 of 3)"),
        ([100, None, 300], 300, "300 (2 of 3)"),
        ([100, 300], 200, "200 (2 of 2)"),
        ([100, None], None, "never (1 of 2)"),
    ],
)
def test_a_seed_that_never_reached_it_is_later_than_all(
    steps: list[int | None], median: float | None, words: str,
    tmp_path: Path, prior: Path, audit: Path,
) -> None:  # fmt: skip
    runs = [run_of(tmp_path, f"a parrot {n}", prior, steps=s) for n, s in enumerate(steps)]
    found = read_audited(audit, prior, runs)
    assert found.tasks[0].steps_to_80 == median
    assert words in audited_text(found)


def test_an_audit_of_another_prior_is_refused(tmp_path: Path, prior: Path, audit: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(prior, other)
    (other / "prior.safetensors").write_bytes(b"other weights")
    ours = run_of(tmp_path, "a parrot 0", prior)
    theirs = run_of(tmp_path, "b parrot 0", other)
    read_audited(audit, prior, [ours])
    for folder, runs in ((other, [ours]), (prior, [ours, theirs])):
        with pytest.raises(UserError, match=r"audited is an audit of another prior than that of"):
            read_audited(audit, folder, runs)


def test_methods_that_start_from_other_parts_may_stand_beside(
    tmp_path: Path, prior: Path, audit: Path
) -> None:
    clone = tmp_path / "bc"
    clone.mkdir()
    (clone / "policy.safetensors").write_bytes(b"cloned")
    runs = [run_of(tmp_path, "a parrot 0", prior), run_of(tmp_path, "a bc_sac 0", clone, 0.4)]
    (task,) = read_audited(audit, prior, runs).tasks
    assert task.others == {"bc_sac": 0.4}


def test_rollouts_in_another_world_are_refused(tmp_path: Path, prior: Path, audit: Path) -> None:
    run = run_of(tmp_path, "b parrot 0", prior, world={"name": "tabletop"})
    with pytest.raises(UserError, match="audited rolled the prior out in another world than"):
        read_audited(audit, prior, [run])
    read_audited(write_audit(tmp_path / "unacted", prior, rollouts={}), prior, [run])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("z parrot 0", r"audits no task of the runs \(z\)"),
        ("a sac 0", "what agents of parrot learn, and finetune.methods does not name it"),
    ],
)
def test_nothing_to_compare_is_refused(
    cell: str, words: str, tmp_path: Path, prior: Path, audit: Path
) -> None:
    with pytest.raises(UserError, match=words):
        read_audited(audit, prior, [run_of(tmp_path, cell, prior)])


def test_what_is_no_audit_or_was_changed_is_named(tmp_path: Path, prior: Path, audit: Path) -> None:
    runs = [run_of(tmp_path, "a parrot 0", prior)]
    with pytest.raises(UserError, match="prior is no audit: name a folder that `parrot audit"):
        read_audited(prior, prior, runs)
    metrics = audit / "metrics.json"
    write_json(metrics, {**read_json(metrics), "is_training_data": True})
    with pytest.raises(UserError, match=r"metrics\.json was changed after it was written"):
        read_audited(audit, prior, runs)
    seal(audit, ["config.json", "metrics.json"])
    assert "trained on the audited demonstrations" in audited_text(read_audited(audit, prior, runs))
    write_json(metrics, {"rollouts": {}, "is_training_data": True})
    seal(audit, ["config.json", "metrics.json"])
    with pytest.raises(UserError, match=r"metrics\.json lacks a valid tasks: run `parrot audit"):
        read_audited(audit, prior, runs)


@pytest.mark.parametrize(
    ("bounds", "within", "words"),
    [
        ([2.0], 0.6, "within |z| <= 2 "),
        ([1.2], None, "reference, 1.2, are none of audit.latent_bounds"),
        ([1.0, 2.0], None, "The agents have several references"),
    ],
)
def test_the_share_is_that_near_the_agents_own_reference(
    bounds: list[float], within: float | None, words: str,
    tmp_path: Path, prior: Path, audit: Path,
) -> None:  # fmt: skip
    runs = [run_of(tmp_path, f"a parrot {n}", prior, bound=b) for n, b in enumerate(bounds)]
    found = read_audited(audit, prior, runs)
    assert found.tasks[0].within == within
    assert words in audited_text(found)


def task(number: int, **values: Any) -> TaskAudited:
    """One of a row of tasks: the higher the number, the better all of it."""
    told: dict[str, Any] = {
        "task": f"task {number}", "log_prob_per_dim": number / 10, "within": number / 20,
        "sampled": number / 30, "mode": number / 40, "success_rate": number / 50, "num_seeds": 1,
        "steps_to_50": 900 - number, "num_reached_50": 1, "steps_to_80": 1000 - number,
        "num_reached_80": 1, "others": {"sac": 0.0},
    }  # fmt: skip
    return TaskAudited(**(told | values))


def audited(tasks: list[TaskAudited]) -> Audited:
    return Audited(Path("audited"), tasks, [], [1.0], is_training_data=False)


def test_ranks_in_one_order_correlate_fully_and_steps_the_other_way() -> None:
    for found in correlations([task(number) for number in (3, 1, 4, 2)]):
        assert found.num_tasks == 4
        assert found.success == pytest.approx(1.0)
        assert found.steps_to_80 == pytest.approx(-1.0)


def test_never_ranks_last_and_what_is_not_known_is_left_out() -> None:
    tasks = [task(1, steps_to_80=None), task(2, sampled=None), task(3), task(4)]
    found = {each.figure: each for each in correlations(tasks)}
    assert found["mode"].steps_to_80 == pytest.approx(-1.0)
    assert found["sampled"].num_tasks == 3
    assert found["sampled"].success == pytest.approx(1.0)
    last = [task(n, steps_to_80=None) for n in (1, 2, 3)]
    assert {each.steps_to_80 for each in correlations(last)} == {None}, "all are equal"


def test_two_tasks_have_no_correlation() -> None:
    pair = audited([task(1), task(2)])
    assert correlations(pair.tasks) == []
    assert audited_json(pair)["rank_correlations"] == []
    _, section = audited_sections(pair)
    assert not section.rows
    assert "2 tasks have no order to compare" in section.note


@pytest.mark.parametrize("num_tasks", range(3, 7))
def test_chance_is_counted_over_every_order(num_tasks: int) -> None:
    size, share = by_chance(num_tasks)
    orders = itertools.permutations(range(num_tasks))
    found = [abs(stats.spearmanr(range(num_tasks), order).statistic) for order in orders]
    assert share == pytest.approx(np.mean(np.array(found) >= size - 1e-6))
    assert share <= 0.05 or size == 1.0
    assert (size < 1.0) == (num_tasks > 5)


def test_beyond_what_is_counted_chance_goes_on_as_it_was() -> None:
    sizes = [by_chance(number)[0] for number in (7, 8, 9, 12, 50)]
    assert sizes == sorted(sizes, reverse=True)
    assert by_chance(9)[0] == pytest.approx(0.667, abs=0.005)


def test_few_tasks_are_said_to_be_few() -> None:
    _, section = audited_sections(audited([task(n) for n in (1, 2, 3)]))
    assert "figures of 3 tasks that have nothing to do with each other, 1.00" in section.note
    assert "comes by chance in 33% of all orders" in section.note
    assert section.rows[0] == ("nats a dimension", "3", "+1.00", "-1.00")


def test_the_figure_is_a_function_of_what_it_shows() -> None:
    tasks = [task(1, steps_to_80=None, sampled=None), task(2), task(3)]
    said = {"sampled": "untrained", "within": "within"}
    first, second = (audit_against_outcome(tasks, said) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == second
    assert audit_against_outcome([task(n, steps_to_80=None) for n in range(50)], said) != first
