"""Profiles and studies by their own commands, on tiny params: each ends in its page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT, TASK, Pipeline, change, check_out

from cli.params import Sections
from cli.params_check import models
from parrot_data.stores.manifest import load_manifest
from parrot_data.worlds.tabletop.tasks import named_task
from parrot_models.finetune import FinetuneParams

# In one process: everything is made once, and takes minutes
pytestmark = pytest.mark.xdist_group("studies")

# An installed environment is there already: nothing to install, nothing to activate.
AS_INSTALLED = ("INSTALLED=", "ACTIVATE=:")
TINY: dict[str, dict[str, dict[str, Any]]] = {
    "profiles/paper_lite": {
        "generate": {"num_episodes": 30, "episodes_per_file": 15},
        "filter": {"max_episodes": 16},
        "shard": {"chunks_per_shard": 2},
        "train_prior": {"steps": 6},
        "finetune": {"tasks": [TASK], "env_steps": 75},
    },
    "studies/dataset_size": {
        "study": {"priors": ["12"], "tasks": [TASK]},
        "shard": {"chunks_per_shard": 2},
        "train_prior": {"steps": 6},
        "finetune": {"env_steps": 75},
    },
    "studies/mismatch": {
        "study": {"priors": ["both"], "tasks": [TASK]},
        "filter": {"max_episodes": 4},
        "shard": {"chunks_per_shard": 2},
        "train_prior": {"steps": 6},
        "finetune": {"env_steps": 75},
    },
    "studies/comparison": {
        "pretrain": {"trajectories": {"steps": 6}},
        "finetune": {
            "tasks": [TASK],
            "methods": ["parrot", "traj_rl"],
            "seeds": ["0"],
            "parts": ["trajectories"],
            "flows": [],
            "env_steps": 75,
        },
        "judge": {"models": ["prior", "trajectories"]},
    },
    "studies/own_task": {
        "generate": {"num_episodes": 12},
        "pretrain": {"bc": {"steps": 6}},
        "finetune": {"env_steps": 75},
    },
    "studies/audit": {
        "generate": {"num_episodes": 12, "tasks": {TASK: 100.0}},
        "finetune": {"tasks": [TASK], "env_steps": 75},
    },
    "studies/wrong_prior": {
        "finetune": {"methods": ["parrot", "parrot_best"], "env_steps": 75},
    },
    "studies/place": {
        "generate": {"num_episodes": 12, "tasks": {"pick-cup": 100.0}},
        "finetune": {"tasks": ["pick-cup"], "methods": ["parrot"], "seeds": ["0"], "env_steps": 75},
    },
    "studies/metaworld": {
        "generate": {"num_episodes": 8, "tasks": {"door-close": 1.0, "drawer-close": 1.0}},
        "train_prior": {"steps": 6},
        "pretrain": {"bc": {"steps": 6}},
        "judge": {"families": ["door-unlock"], "num_episodes": 1},
        "evaluate": {"num_episodes": 1},
        "finetune": {
            "tasks": ["door-unlock"],
            "methods": ["parrot", "bc_sac"],
            "seeds": ["0"],
            "warmup_steps": 150,  # of its own, longer than a tiny run
            "env_steps": 300,
        },
    },
    "studies/panda": {
        "generate": {"num_episodes": 3},
        "train_prior": {"steps": 6},
        "finetune": {"seeds": ["0"], "env_steps": 100},
    },
    "studies/exploration": {"pretrain": {"bc": {"steps": 6}}, "explore": {"num_episodes": 1}},
}
UNSEEN = "{extends: params.yaml, generate: {num_episodes: 6, tasks: {door-unlock: 1}}}"
STUDIES = [name for name in TINY if name.startswith("studies/")]
FILES_OF_A_PAGE = {"index.html", "figures", "summary.json", "table.txt"}


class Studies(Pipeline):
    """The checkout with profiles and studies, and the log of what was made in it."""

    def make(self, target: str, *values: str) -> str:
        done = self.call("make", target, *AS_INSTALLED, *values)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def result(self, name: str) -> dict[str, Any]:
        text = (self.folder / "results" / name / "summary.json").read_text()
        summary: dict[str, Any] = json.loads(text)
        return summary


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Everything done once: the profile first, for the studies read its episodes."""
    folder = tmp_path_factory.mktemp("studies") / "checkout"
    check_out(folder, ("Makefile", "examples", "profiles", "studies"))
    for name, changes in TINY.items():
        path = folder / name / "params.yaml"
        change(path, yaml.safe_load(path.read_text()), changes)
    (folder / "studies/metaworld/unseen.yaml").write_text(UNSEEN)
    studies = Studies(folder)
    studies.set("finetune", "video_episodes", 0)  # test_pipeline's runs have theirs
    studies.make("paper-lite")
    for kind in (
        "dataset-size",
        "mismatch",
        "exploration",
        "own-task",
        "audit",
        "wrong-prior",
        "place",
        "panda",
    ):
        studies.make(f"study-{kind}")
    studies.make("comparison")
    studies.make("metaworld")
    return studies


def test_paper_lite_reports_the_runs_of_its_matrix(studies: Studies) -> None:
    runs = studies.result("paper_lite")["runs"]
    assert [(r["task"], r["method"], r["seed"], r["env_steps"]) for r in runs] == [
        (TASK, "parrot", 0, 75),
        (TASK, "sac", 0, 75),
    ]


def test_paper_lite_goes_on_where_it_was(studies: Studies) -> None:
    runs = studies.folder / "profiles/paper_lite/runs" / TASK
    kept, lost = runs / "parrot/0/agent.safetensors", runs / "sac/0"
    before, page = kept.stat().st_mtime_ns, studies.result("paper_lite")
    shutil.rmtree(lost)
    output = studies.make("paper-lite")
    assert not re.search(r"Running stage", output)
    assert kept.stat().st_mtime_ns == before
    assert (lost / "agent.safetensors").exists()
    assert studies.result("paper_lite") == page


def test_dataset_size_compares_as_many_episodes_as_it_names(studies: Studies) -> None:
    summary = studies.result("dataset_size")
    assert [prior["num_kept"] for prior in summary["priors"]] == [12]
    assert [run["method"] for run in summary["scratch"]] == ["sac"]


def test_mismatch_compares_as_many_episodes_of_other_tasks(studies: Studies) -> None:
    kept = studies.folder / "studies/mismatch/kept"
    for name, tasks in (("pick", ["pick"]), ("place", ["place"]), ("both", ["pick", "place"])):
        decision = json.loads((kept / name / "kept.json").read_text())
        assert decision["params"]["tasks"] == tasks
        assert len(decision["kept"]) == 4
    (prior,) = studies.result("mismatch")["priors"]
    assert (prior["name"], prior["num_kept"]) == ("both", 4)


def test_exploration_compares_every_policy_in_both_families(studies: Studies) -> None:
    rows = studies.result("exploration")["rows"]
    policies = ["random", "prior |z|<1", "prior", "bc", "script"]
    assert [(row["family"], row["policy"]) for row in rows] == [
        (family, policy) for family in ("pick", "place") for policy in policies
    ]


def test_the_comparison_runs_methods_from_parts_of_their_own(studies: Studies) -> None:
    runs = studies.result("comparison")["runs"]
    assert [(r["task"], r["method"], r["seed"], r["env_steps"]) for r in runs] == [
        (TASK, "parrot", 0, 75),
        (TASK, "traj_rl", 0, 75),
    ]


def test_metaworld_holds_its_audit_against_what_agents_learned(studies: Studies) -> None:
    summary = studies.result("metaworld")
    assert [(r["task"], r["method"], r["env_steps"] >= 300) for r in summary["runs"]] == [
        ("door-unlock", "parrot", True),
        ("door-unlock", "bc_sac", True),
    ]
    (row,) = summary["audited"]["tasks"]
    assert row["task"] == "door-unlock"


def test_own_task_clones_demonstrations_of_the_very_task(studies: Studies) -> None:
    episodes = load_manifest(studies.folder / "studies/own_task/data/episodes", "episodes")
    entries = list(episodes.entries(studies.folder / "studies/own_task/data/episodes"))
    assert {entry.task for entry in entries} == {"pick-cup"}
    objects = list(named_task("pick-cup").objects)
    assert all(entry.facts["objects"] == objects for entry in entries)
    metrics = studies.folder / "results/own_task/pick-cup/0/metrics.json"
    assert json.loads(metrics.read_text())["method"] == "bc_sac"


def test_the_audit_stands_beside_what_agents_then_learned(studies: Studies) -> None:
    summary = studies.result("audit")
    methods = [(run["task"], run["method"]) for run in summary["runs"]]
    assert methods == [(TASK, "parrot"), (TASK, "parrot_box")]
    (task,) = summary["audited"]["tasks"]
    metrics = json.loads((studies.folder / "studies/audit/audited/metrics.json").read_text())
    assert task["log_prob_per_dim"] == metrics["tasks"][TASK]["log_prob_per_dim"]
    assert task["sampled"] == metrics["rollouts"][TASK]["sampled"]["success_rate"]
    assert task["success_rate"] == summary["runs"][0]["success_rate"]
    table = (studies.folder / "results/audit/table.txt").read_text()
    assert "What the audit said, and what happened" in table


def test_a_prior_is_learned_with_where_it_is_wrong(
    studies: Studies,
) -> None:
    methods = ["parrot", "parrot_best"]
    for name, tasks in (
        ("grasps", ["place-baseball-cap-on-block"]),
        ("unseen", ["open-drawer", "pick-cup-behind-wall"]),
    ):
        runs = studies.result(f"wrong_prior/{name}")["runs"]
        assert [(r["task"], r["method"]) for r in runs] == [(t, m) for t in tasks for m in methods]
    kept = studies.folder / "studies/wrong_prior/shards"
    entries = load_manifest(kept, "shards").entries(kept)
    assert {entry.task for entry in entries} == {"pick"}


def test_place_tasks_are_learned_in_several_ways_from_one_prior(studies: Studies) -> None:
    configs = {}
    for name in ("plain", "held", "shown"):
        (run,) = studies.result(f"place/{name}")["runs"]
        assert (run["task"], run["method"], run["env_steps"]) == ("pick-cup", "parrot", 75)
        path = studies.folder / "studies/place/runs" / name / "pick-cup/parrot/0/config.json"
        configs[name] = json.loads(path.read_text())
    assert configs["held"]["agent"]["hold_steps"] == 4
    assert configs["shown"]["demonstrations_sha256"]
    assert configs["plain"]["demonstrations_sha256"] is None
    assert len({json.dumps(c["prior_sha256"]) for c in configs.values()}) == 1


def test_panda_learns_what_a_script_recorded_on_a_robot_of_others(studies: Studies) -> None:
    runs = studies.result("panda")["runs"]
    assert [(r["task"], r["method"], r["seed"], r["env_steps"]) for r in runs] == [
        ("pick-and-place", "parrot", 0, 100),
        ("pick-and-place", "sac", 0, 100),
    ]
    shards = studies.folder / "studies/panda/data/shards"
    spec = load_manifest(shards, "shards").spec
    assert spec.vectors == {"achieved_goal": 3, "desired_goal": 3, "observation": 19}
    assert (spec.action.low, spec.action.high) == ([-1.0] * 4, [1.0] * 4)


@pytest.mark.parametrize("name", ["dataset_size", "mismatch", "exploration"])
def test_every_study_has_a_page_of_its_own(studies: Studies, name: str) -> None:
    folder = studies.folder / "results" / name
    assert {path.name for path in folder.iterdir()} == FILES_OF_A_PAGE
    html = (folder / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) == len(list((folder / "figures").iterdir())) > 0
    assert all(source.startswith("data:image/png") for source in sources)


def test_studies_that_were_made_run_nothing(studies: Studies) -> None:
    output = studies.repro(*(f"{name}/dvc.yaml" for name in STUDIES))
    assert not re.search(r"Running stage", output)


def test_a_pipeline_that_nobody_ran_is_out_of_sight(studies: Studies) -> None:
    """`dvc pull` would fail on outputs that were never made, `dvc status` tell of each."""
    listed = studies.call("dvc", "stage", "list", "--all", "--name-only").stdout
    pipelines = {line.rpartition(":")[0] for line in listed.splitlines()} - {""}
    assert "profiles/paper/dvc.yaml" not in pipelines
    assert pipelines == {f"{name}/dvc.yaml" for name in TINY}


def test_git_gets_locks_and_small_files_alone(studies: Studies) -> None:
    made = studies.call("git", "ls-files", "--others", "--exclude-standard").stdout.split()
    for root in ("profiles", "studies"):
        names = {Path(path).name for path in made if path.startswith(f"{root}/")}
        own = {"unseen.yaml"} if root == "studies" else set()
        assert names == {"dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore"} | own
    assert not [path for path in made if path.startswith("results/") and path.endswith(".html")]


@pytest.mark.parametrize(
    "name", ["profiles/paper_lite", "profiles/paper", "profiles/images_alone", *STUDIES]
)
def test_profiles_and_studies_change_only_what_the_default_has(name: str) -> None:
    path = ROOT / name / "params.yaml"
    changed = yaml.safe_load(path.read_text())
    assert changed.pop("extends") in {"../../params.yaml", "../../profiles/paper_lite/params.yaml"}
    read = Sections(path)
    for section in changed:
        read(section, models()[section])


def test_the_paper_profile_is_the_paper_lite_one_with_more_of_it() -> None:
    lite, whole = (
        Sections(ROOT / "profiles" / name / "params.yaml")("finetune", FinetuneParams)
        for name in ("paper_lite", "paper")
    )
    assert whole.tasks == lite.tasks
    assert len(lite.tasks) == 8
    assert set(lite.methods) <= set(whole.methods)
    assert (len(lite.seeds), len(whole.seeds)) == (1, 3)
