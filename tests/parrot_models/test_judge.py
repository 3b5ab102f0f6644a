"""The stage judge: models of every kind, in worlds that tell much or little."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from small_models import KINDS, save_small

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_models.judge import JudgeParams, judge
from parrot_models.judging.params import ProbeParams, ReachParams

TOY = {"name": "tests.toy_world:make_world", "kwargs": {"images": {"above": [16, 20]}}}
GYMNASIUM = {
    "name": "gymnasium",
    "tasks": {"reach": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}},
    "success": {"info": "is_success"},
    "max_steps": None,
}
TABLETOP = {
    "name": "tabletop",
    "image_size": 48,
    "proprioception": True,
    "episode_steps": 4,
    "demonstrations": {"action_noise": 0.1, "num_objects": [2, 3]},
}
PROBE = ProbeParams(
    array="goal_position", dims=[0, 1], tasks=["reach-near", "reach-far"], scenes=10,
    max_random_steps=3,
)  # fmt: skip
PARAMS = JudgeParams(
    models=["prior"], families=[], seed=0, num_episodes=2, num_demonstrations=2, probe=PROBE,
    reach=ReachParams(latent_bounds=[1.0, 2.0], edit_scales=[0.5]),
)  # fmt: skip
FILES = {"metrics.json", "config.json", "README.md", "SHA256SUMS"}
RATES = {"success_rate", "near_rate"}


class KilledError(Exception):
    """Stands for a kill."""


def environment(values: dict[str, Any] = TOY) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python(values)


def judged(
    kind: str,
    tmp_path: Path,
    params: JudgeParams = PARAMS,
    world: dict[str, Any] = TOY,
    out: str = "judged",
    progress: Progress = silent,
) -> dict[str, Any]:
    model = tmp_path / kind
    if not model.exists():
        save_small(kind, make_world(environment(world)).spec, model)
    return judge(params, environment(world), model, tmp_path / out, progress=progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_kind_is_judged_by_what_it_can_do(kind: str, tmp_path: Path) -> None:
    metrics = judged(kind, tmp_path)
    assert metrics["kind"] == kind
    assert metrics["not_judged"] == {}
    assert {"agent_features", "pixels", "vectors", "mean_guess"} <= metrics["probe_error"].keys()
    policies = {"prior": {"sampled", "mode", "random"}, "vae": set()}
    assert metrics.get("rollouts", {}).keys() == policies.get(kind, {"sampled", "random"})
    for rates in metrics.get("rollouts", {}).values():
        assert rates.keys() == {*RATES, "families"}
        assert rates["families"].keys() == {"near", "far"}
        for rate in RATES:
            of_families = [family[rate] for family in rates["families"].values()]
            assert rates[rate] == pytest.approx(sum(of_families) / 2)
    names = {"trajectories": "open_loop_reproduction_rate"}
    names["options"] = "closed_loop_reproduction_rate"
    if kind in names:
        assert 0.0 <= metrics["reproduction"][names[kind]] <= 1.0
        assert metrics["reproduction"]["num_demonstrations"] == 2
    else:
        assert "reproduction" not in metrics
    assert ("reach" in metrics) == (kind == "prior")
    assert files_of(tmp_path / "judged").keys() == FILES
    assert json.loads((tmp_path / "judged" / "metrics.json").read_text()) == metrics
    assert f"# Judged: {kind}" in (tmp_path / "judged" / "README.md").read_text()


def test_a_world_that_tells_little_is_judged_in_little(tmp_path: Path) -> None:
    metrics = judged("trajectories", tmp_path, world=GYMNASIUM)
    assert metrics == {
        "kind": "trajectories",
        "not_judged": {
            "rollouts": "the world has no unseen scenes",
            "reproduction": "the world demonstrates nothing",
            "probe_error": "the world has no privileged array goal_position (it has: none)",
        },
    }


def test_families_of_another_world_are_no_matter_where_there_are_none(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"families": ["pick"]})
    assert "rollouts" in judged("bc", tmp_path, params, GYMNASIUM)["not_judged"]


def test_without_a_probe_it_is_said_so(tmp_path: Path) -> None:
    metrics = judged("vae", tmp_path, PARAMS.model_copy(update={"probe": None}))
    assert metrics["not_judged"] == {"probe_error": "judge.probe is null"}


def test_a_prior_of_the_tabletop_is_judged_by_what_happens_to_objects(tmp_path: Path) -> None:
    probe = ProbeParams(
        array="target_position", dims=[0, 1], tasks=["pick-bar"], scenes=10, max_random_steps=1
    )
    params = PARAMS.model_copy(update={"families": ["place"], "num_episodes": 1, "probe": probe})
    metrics = judged("prior", tmp_path, params, TABLETOP)
    names = {"success_rate", "touched_rate", "any_object_rate", "wrong_object_rate"}
    assert metrics["rollouts"]["mode"]["families"]["place"].keys() == names
    assert 0.0 < metrics["probe_error"]["mean_guess"] < 0.3, "m, of a table of half a metre"


def test_unbounded_actions_are_drawn_from_the_data_s_range(tmp_path: Path) -> None:
    world = {"name": TOY["name"], "kwargs": {"is_bounded": False, "action_dim": 3}}
    assert judged("bc", tmp_path, world=world)["rollouts"].keys() == {"sampled", "random"}


def test_of_a_prior_it_is_told_which_actions_agents_reach(tmp_path: Path) -> None:
    rows = judged("prior", tmp_path)["reach"]
    limits = [(row["latent_bound"], row["edit_scale"]) for row in rows]
    assert limits == [(1.0, 0.0), (1.0, 0.5), (2.0, 0.0), (2.0, 0.5), (None, 0.0)]
    for name in ("demonstrated", "uniform"):
        assert rows[-1][name] == 1.0, "f is invertible"
        assert 0.0 <= rows[0][name] <= rows[2][name] <= 1.0
    told = (tmp_path / "judged" / "README.md").read_text()
    assert f"any z: uniform | {rows[-1]['uniform']:.4g} |" in told


def test_what_keeps_a_reach_from_being_told_is_said(tmp_path: Path) -> None:
    nothing = PARAMS.model_copy(update={"reach": None})
    assert judged("prior", tmp_path, nothing)["not_judged"] == {"reach": "judge.reach is null"}
    hopeless = {**TOY, "kwargs": {**TOY["kwargs"], "max_steps": 1}}
    without_probe = PARAMS.model_copy(update={"probe": None})
    metrics = judged("prior", tmp_path, without_probe, hopeless, "hopeless")
    assert metrics["not_judged"]["reach, far"] == "no demonstration succeeded"


@pytest.mark.parametrize("call", [0, 5])
def test_a_killed_judgement_ends_in_the_same_bytes(tmp_path: Path, call: int) -> None:
    def kill(done: int, _total: int, _note: str) -> None:
        if done == call:
            raise KilledError

    judged("prior", tmp_path)
    with pytest.raises(KilledError):
        judged("prior", tmp_path, out="killed", progress=kill)
    calls: list[int] = []
    judged("prior", tmp_path, out="killed", progress=lambda done, *_: calls.append(done))
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "judged")


def test_a_damaged_piece_is_measured_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kill(done: int, _total: int, _note: str) -> None:
        if done == 3:
            raise KilledError

    judged("bc", tmp_path)
    with pytest.raises(KilledError):
        judged("bc", tmp_path, out="killed", progress=kill)
    (tmp_path / "killed.partial" / "1.piece").write_text("{}")
    judged("bc", tmp_path, out="killed")
    assert len([m for m in caplog.messages if "measured again" in m]) == 1
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "judged")


def test_which_models_the_pipeline_judges_changes_no_byte(tmp_path: Path) -> None:
    judged("bc", tmp_path)
    judged("bc", tmp_path, PARAMS.model_copy(update={"models": ["prior", "bc"]}), out="again")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "judged")


def test_a_model_of_other_data_is_named(tmp_path: Path) -> None:
    save_small("bc", make_world(environment(TABLETOP)).spec, tmp_path / "bc")
    with pytest.raises(UserError, match=r"bc was trained on other data .* observations\.above"):
        judged("bc", tmp_path)
    assert not (tmp_path / "judged").exists()


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "bc").mkdir()
    (tmp_path / "bc" / "config.json").write_text('{"method": "sac"}')
    with pytest.raises(UserError, match="bc is no trained model of a kind that can be judged"):
        judged("bc", tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": ["near", "pick"]}, "judge.families: 'pick' is none of the world's families"),
        ({"probe": PROBE.model_copy(update={"tasks": ["pick-bar"]})}, "judge.probe.tasks: 'pick-b"),
        ({"probe": PROBE.model_copy(update={"dims": [2]})}, "judge.probe.dims names 2, but goal"),
    ],
)
def test_what_the_world_does_not_have_is_named(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        judged("bc", tmp_path, PARAMS.model_copy(update=changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ["../prior"]}, {"models": ["bc", "bc"]}, {"families": ["near", "near"]},
        {"num_episodes": 0}, {"probe": {**PROBE.model_dump(), "dims": [-1]}},
        {"probe": {**PROBE.model_dump(), "scenes": 9}},
    ],
)  # fmt: skip
def test_params_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JudgeParams.model_validate({**PARAMS.model_dump(), **changes})
