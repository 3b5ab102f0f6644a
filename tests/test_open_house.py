"""Robots that the packages have never heard of, from a recording to a report, by the commands.

A toy world with its own demonstrator (`tests.toy_world`) stands for a user's; vectors alone, one
image alone, and two images beside vectors, with actions of width 4, 1 and 14. Tiny, but all of it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT, TINY, changed
from typer.testing import CliRunner, Result

from cli.main import app
from parrot_data.stores.manifest import load_manifest
from parrot_models.methods.table import METHODS

# In one process: what a house holds is made once
pytestmark = pytest.mark.xdist_group("houses")

NEAR, FAR = "reach-near", "reach-far"
MAX_STEPS = 80
FLOWS = {"prior": "affine", "spline": "spline", "matching": "matching"}
PARTS = ("bc", "vae", "trajectories", "options")
# Ends at success where near, goes on to the limit where far.
ROBOT = {"max_steps": MAX_STEPS, "lasting": [FAR], "speed": 0.06}
SMALL_IMAGE = {"kind": "fast", "feature_dim": 6}
ROBOTS: dict[str, dict[str, Any]] = {
    "vectors alone": {
        "kwargs": {"action_dim": 4},
        "encoder": {"kind": "vector"},
        "augment": [],
    },
    "one image alone": {
        "kwargs": {"action_dim": 1, "images": {"camera": [64, 64]}, "has_vectors": False},
        "encoder": SMALL_IMAGE,
        "augment": ["colors"],
    },
    "two images and vectors, unbounded": {
        "kwargs": {
            "action_dim": 14,
            "images": {"front": [36, 52], "wrist": [25, 32]},
            "is_bounded": False,
        },
        "encoder": SMALL_IMAGE,
        "augment": ["colors"],
    },
}
WITHOUT_IMAGES = "vectors alone"
NEEDS_IMAGES = ("vae_features",)
GYMNASIUM = {
    "name": "gymnasium",
    "tasks": {
        task: {
            "id": "tests.toy_world:toy/Reach-v0",
            "kwargs": {"action_dim": 4, "speed": 0.06, "is_far": task == FAR},
        }
        for task in (NEAR, FAR)
    },
    "success": {"info": "is_success"},
    "max_steps": None,
}


def params_of(robot: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """params.yaml of a robot: the default's, tiny, and what another robot asks for."""
    params = changed(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)
    params["environment"] = environment
    params["generate"] |= {"num_episodes": 16, "episodes_per_file": 8, "tasks": {NEAR: 1, FAR: 1}}
    if not has_images(robot):
        params["keypoints"] = {"kind": "none"}
    has_families = environment["name"] != "gymnasium"
    params["judge"] |= {
        "families": ["near", "far"] if has_families else [],
        "num_episodes": 1,
        "num_demonstrations": 1,
        "probe": {
            "array": "goal_position",
            "dims": [0],
            "tasks": [NEAR],
            "scenes": 10,
            "max_random_steps": 2,
        }
        if has_families
        else None,
    }
    for part in (params["train_prior"], *params["pretrain"].values()):
        part["augment"] = robot["augment"]
        if "encoder" in part:
            part["encoder"] = robot["encoder"]
    params["pretrain"]["trajectories"]["chunk_steps"] = 4
    parts = [part for part in PARTS if has_images(robot) or part != "vae"]
    params["finetune"] |= {
        "tasks": [NEAR],
        "methods": methods_for(robot),
        "parts": parts,
        "flows": ["spline", "matching"],
        "env_steps": 60,
        "warmup_steps": 30,
    }
    params["finetune"]["agent"] |= {"decision_steps": 4, "hidden": [16]}
    params["evaluate"]["num_episodes"] = 1
    params["explore"]["families"] = []
    return params


def methods_for(robot: dict[str, Any]) -> list[str]:
    return [name for name in METHODS if has_images(robot) or name not in NEEDS_IMAGES]


def has_images(robot: dict[str, Any]) -> bool:
    return bool(robot["kwargs"].get("images"))


class House:
    """A folder in which commands run, each output made when it is first asked for."""

    def __init__(self, folder: Path, robot: dict[str, Any], environment: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.methods = folder, methods_for(robot)
        (folder / "params.yaml").write_text(yaml.safe_dump(params_of(robot, environment)))

    def call(self, *arguments: str, values: tuple[str, ...] = ()) -> Result:
        overrides = [part for value in values for part in ("--set", value)]
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(app, [*arguments, *overrides])

    def make(self, out: str, *arguments: str, values: tuple[str, ...] = ()) -> Path:
        if not (self.folder / out).exists():
            done = self.call(*arguments, "--out", out, values=values)
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise done.exception
            assert done.exit_code == 0, done.output
        return self.folder / out

    def shards(self) -> Path:
        episodes, kept = "data/episodes", "data/kept"
        self.make(episodes, "generate", "--workers", "1")
        self.make(kept, "filter", "--episodes", episodes)
        return self.make("data/shards", "shard", "--episodes", episodes, "--kept", kept)

    def model(self, name: str) -> Path:
        self.shards()
        out, data = f"models/{name}", ("--data", "data/shards")
        if name in FLOWS:
            flow = f"train_prior.flow={FLOWS[name]}"
            return self.make(out, "train-prior", *data, values=(flow,))
        return self.make(out, "pretrain", "--method", name, *data)

    def judged(self, name: str) -> Path:
        self.model(name)
        return self.make(f"judged/{name}", "judge", "--model", f"models/{name}")

    def run(self, method: str) -> Path:
        self.model(METHODS[method].part.name)
        options = ("--task", NEAR, "--method", method, "--seed", "0")
        return self.make(f"runs/{NEAR}/{method}/0", "finetune", *options)

    def metrics(self, path: Path) -> dict[str, Any]:
        metrics: dict[str, Any] = json.loads((path / "metrics.json").read_text())
        return metrics


def own_world(robot: dict[str, Any]) -> dict[str, Any]:
    return {"name": "tests.toy_world:make_world", "kwargs": {**ROBOT, **robot["kwargs"]}}


@pytest.fixture(scope="module", params=ROBOTS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> House:
    robot = ROBOTS[request.param]
    return House(tmp_path_factory.mktemp("house") / "house", robot, own_world(robot))


def test_episodes_are_of_all_lengths_and_some_terminated(house: House) -> None:
    shards = house.shards()
    entries = list(load_manifest(shards, "shards").entries(shards))
    lengths = [entry.num_steps for entry in entries]
    assert min(lengths) < 15
    assert max(lengths) == MAX_STEPS
    assert {entry.task for entry in entries} == {NEAR, FAR}


@pytest.mark.parametrize("name", [*FLOWS, *PARTS])
def test_everything_that_is_trained_is_trained_and_judged(house: House, name: str) -> None:
    if name == "vae" and "vae_features" not in house.methods:
        house.shards()
        done = house.call("pretrain", "--method", "vae", "--data", "data/shards", "--out", "out")
        assert done.exit_code == 1, done.output
        assert done.stderr.count("error: ") == 1
        assert "image" in done.stderr
        assert "Traceback" not in done.output
        return
    model = house.model(name)
    assert json.loads((model / "config.json").read_text())["spec"]
    house.metrics(model)
    house.metrics(house.judged(name))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_applies_learns_and_is_evaluated(house: House, method: str) -> None:
    if method not in house.methods:
        pytest.skip("needs an image")
    run = house.run(method)
    assert house.metrics(run)["env_steps"] >= 60
    done = house.call("evaluate", str(run.relative_to(house.folder)))
    assert done.exit_code == 0, done.output
    assert "success_rate" in done.output


def test_an_agent_learns_from_images_themselves(house: House) -> None:
    if "vae_features" not in house.methods:
        pytest.skip("has no image")
    house.model("prior")
    options = ("--task", FAR, "--method", "parrot", "--seed", "1")
    house.make("other", "finetune", *options, values=("finetune.agent.observe=image",))


def test_all_of_it_is_reported(house: House) -> None:
    for name in (*FLOWS, *(METHODS[method].part.name for method in house.methods)):
        house.judged(name)
    for method in house.methods:
        house.run(method)
    page = house.make("report", "report")
    summary = json.loads((page / "summary.json").read_text())
    assert [run["method"] for run in summary["runs"]] == house.methods


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Somebody's environment, and a recording of the same robot made elsewhere."""
    robot = ROBOTS[WITHOUT_IMAGES]
    elsewhere = House(tmp_path_factory.mktemp("elsewhere") / "house", robot, own_world(robot))
    elsewhere.shards()
    house = House(elsewhere.folder.with_name("registered"), robot, GYMNASIUM)
    (house.folder / "data").symlink_to(elsewhere.folder / "data", target_is_directory=True)
    return house


@pytest.mark.parametrize("method", ["parrot", "sac", "bc_sac"])
def test_an_environment_of_gymnasium_is_learned(registered: House, method: str) -> None:
    run = registered.run(method)
    assert registered.metrics(run)["env_steps"] >= 60
    assert json.loads((run / "config.json").read_text())["spec"]["action"]["dim"] == 4


def test_a_world_without_unseen_scenes_is_judged_as_far_as_it_goes(registered: House) -> None:
    metrics = registered.metrics(registered.judged("prior"))
    assert "rollouts" not in metrics
    assert "unseen" in metrics["not_judged"]["rollouts"]


def test_a_world_without_scripts_generates_nothing_and_says_so(registered: House) -> None:
    done = registered.call("generate", "--out", "more")
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 1
    assert "demonstrates nothing" in done.stderr


def test_a_prior_of_another_robot_is_refused(registered: House) -> None:
    registered.model("prior")
    other = {**GYMNASIUM["tasks"][NEAR], "kwargs": {"action_dim": 3}}
    values = (f"environment.tasks={json.dumps({NEAR: other})}",)
    options = ("--task", NEAR, "--method", "parrot", "--seed", "0", "--out", "other")
    done = registered.call("finetune", *options, values=values)
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 1
    assert "observations.goal" in done.stderr
