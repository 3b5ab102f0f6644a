from __future__ import annotations

import csv
import json
import multiprocessing
import signal

import pytest
import rl_fakes as fakes
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from parrot_data.errors import UserError
from parrot_data.interruption import ENDING, Interrupted
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import seal
from parrot_data.worlds.tabletop import tasks
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.tasks import Task
from parrot_models import finetune as finetune_stage
from parrot_models.evaluate import evaluate
from parrot_models.finetune import FinetuneParams, finetune
from parrot_models.methods import bc_sac as cloned
from parrot_models.methods import hirl as options
from parrot_models.methods import parrot as priors
from parrot_models.methods import runs as run_folder
from parrot_models.methods import traj_rl as trajectories
from parrot_models.methods import vae_features
from parrot_models.methods.table import METHODS
from parrot_models.networks.checkpoint import load_checkpoint
from parrot_models.report_page.learning import RunKey
from parrot_models.report_page.runs import read_runs
from parrot_models.rl.learner import Learner
from parrot_models.rl.params import EvaluateParams

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=5)
DATA_MANIFEST = "d" * 64
EVALUATION = EvaluateParams(seed=7, num_episodes=4)
RESULTS = {
    "SHA256SUMS",
    "agent.safetensors",
    "config.json",
    "curve.csv",
    "evaluation.json",
    "metrics.json",
    "video.gif",
}


@pytest.fixture(autouse=True)
def small_world(monkeypatch):
    point = Task(name="point", family="pick", objects=("target", "other"), container="")
    monkeypatch.setattr(tasks, "TASKS", {"point": point})
    monkeypatch.setattr(run_folder, "make_task_env", fakes.make_point_env)
    monkeypatch.setattr(priors, "BehavioralPrior", fakes.FakePrior)
    monkeypatch.setattr(priors, "ActingPrior", lambda prior, _precision: prior)
    monkeypatch.setattr(cloned, "BehaviorCloning", fakes.FakeClone)
    monkeypatch.setattr(vae_features, "BetaVAE", fakes.FakeVAE)
    monkeypatch.setattr(trajectories, "TrajectoryVAE", fakes.FakeTrajectories)
    monkeypatch.setattr(options, "OptionModel", fakes.FakeOptions)
    for module in (cloned, trajectories, options):
        monkeypatch.setattr(module, "load_keypoints", fakes.load_fake_keypoints)


@pytest.fixture
def prior(tmp_path):
    folder = tmp_path / "prior"
    fakes.FakePrior().save(folder, ENVIRONMENT, DATA_MANIFEST)
    return folder


def make_params(**changes):
    agent = {
        "observe": "features",
        "encoder": "fast",
        "encoder_dim": 8,
        "latent_bound": 2.0,
        "decision_steps": 5,
        "hidden": [16],
        "learning_rate": 1e-3,
        "polyak": 0.01,
        "initial_temperature": 0.02,
        "target_entropy": -5.0,
        "observation_noise": 0.1,
        "clone_weight": 0.1,
        "precision": "bf16",
    }
    agent |= changes.pop("agent", {})
    values = {
        "tasks": ["point"],
        "methods": ["parrot", "sac"],
        "seeds": ["0"],
        "parts": [],
        "flows": [],
        "env_steps": 60,
        "num_envs": 1,
        "warmup_steps": 20,
        "critic_only_updates": 3,
        "batch_size": 8,
        "utd": 0.5,
        "final_rate": 0.5,
        "n_step": 3,
        "discount": 0.9,
        "replay_capacity": 40,
        "checkpoint_every_steps": 15,
        "curve_window_episodes": 3,
        "curve_every_episodes": 2,
        "explore_share": 0.5,
        "demo_episodes": 3,
        "video_episodes": 2,
        "agent": agent,
    }
    return FinetuneParams.model_validate(values | changes)


def run(
    prior, out, params=None, method="parrot", task="point", progress=lambda *_: None, **options
):
    return finetune(
        params or make_params(),
        EVALUATION,
        ENVIRONMENT,
        prior,
        task,
        method,
        0,
        out,
        progress=progress,
        **options,
    )


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("observe", ["features", "image"])
def test_a_run_leaves_its_results_and_nothing_else(prior, tmp_path, method, observe):
    params = make_params(agent={"observe": observe})
    metrics = run(prior, tmp_path / "run", params, method)
    assert set(files_of(tmp_path / "run")) == RESULTS
    assert not (tmp_path / "run.partial").exists()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert metrics["env_steps"] == 60


def test_the_curve_is_a_mean_over_its_window(prior, tmp_path):
    run(prior, tmp_path / "run")
    with (tmp_path / "run" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    # 12 episodes of 5 steps: windows of 3 that end at episode 3, 5, ..., 11 and at the last.
    assert [int(row["env_steps"]) for row in rows] == [15, 25, 35, 45, 55, 60]
    assert all(int(row["num_episodes"]) == 3 for row in rows)
    assert rows[0]["temperature"] == ""
    assert float(rows[-1]["temperature"]) > 0


@pytest.mark.parametrize(
    ("method", "stop_after"),
    [("parrot_executed", 20), ("parrot_executed", 55), *((name, 40) for name in METHODS)],
)
def test_an_interrupted_run_ends_as_if_never_interrupted(prior, tmp_path, method, stop_after):
    params = make_params(agent={"decision_steps": 3})
    run(prior, tmp_path / "a" / "run", params, method)

    def interrupt(done, _total, _note):
        if done >= stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(prior, tmp_path / "b" / "run", params, method, progress=interrupt)
    calls = []
    run(prior, tmp_path / "b" / "run", params, method, progress=lambda *call: calls.append(call))
    assert calls[0][0] == stop_after // 15 * 15
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")


def test_two_environments_make_the_same_run_every_time(prior, tmp_path):
    params = make_params(num_envs=2, env_steps=70)
    for name in ("a", "b"):
        metrics = run(prior, tmp_path / name / "run", params)
        assert metrics["env_steps"] == 70
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")
    with (tmp_path / "a" / "run" / "curve.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["temperature"]) > 0


@pytest.mark.parametrize(
    ("method", "stop_after"), [("parrot_executed", 30), ("parrot_demo", 40), ("hirl", 40)]
)
def test_an_interrupted_run_of_two_environments_ends_as_if_never_interrupted(
    prior, tmp_path, method, stop_after
):
    params = make_params(num_envs=2)
    run(prior, tmp_path / "a" / "run", params, method)

    def interrupt(done, _total, _note):
        if done >= stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(prior, tmp_path / "b" / "run", params, method, progress=interrupt)
    assert not multiprocessing.active_children()
    calls = []
    run(prior, tmp_path / "b" / "run", params, method, progress=lambda *call: calls.append(call))
    assert calls[0][0] == 30  # a multiple of 15 was passed in that round of ten steps
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")


@pytest.fixture
def answered():
    """A shell that runs the tests in the background has them ignore Ctrl-C."""
    before = {signum: signal.signal(signum, signal.default_int_handler) for signum in ENDING}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def stopped_by(signum, step):
    def progress(done, _total, _note):
        if done == step:
            signal.raise_signal(signum)

    return progress


@pytest.mark.parametrize(
    ("signum", "step", "num_envs"),
    [
        (signal.SIGINT, 0, 1),
        (signal.SIGTERM, 5, 1),
        (signal.SIGHUP, 35, 1),
        (signal.SIGINT, 50, 1),
        (signal.SIGTERM, 40, 2),
    ],
)
@pytest.mark.usefixtures("answered")
def test_a_signal_is_saved_at_the_next_round(prior, tmp_path, caplog, signum, step, num_envs):
    params = make_params(num_envs=num_envs, checkpoint_every_steps=1000)
    run(prior, tmp_path / "a" / "run", params)
    with pytest.raises(Interrupted) as raised:
        run(prior, tmp_path / "b" / "run", params, progress=stopped_by(signum, step))
    saved = step + 5 * num_envs
    assert raised.value.args == (signum, f"step {saved} of 60")
    assert not multiprocessing.active_children()
    calls = []
    with caplog.at_level("INFO"):
        run(prior, tmp_path / "b" / "run", params, progress=lambda *call: calls.append(call))
    assert calls[0][0] == saved
    assert f"learning goes on from step {saved} of 60" in caplog.messages
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")


def test_what_was_learned_is_saved_before_it_is_judged(prior, tmp_path, monkeypatch):
    params = make_params(checkpoint_every_steps=1000)
    run(prior, tmp_path / "a" / "run", params)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("parrot_models.finetune.write_results", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(prior, tmp_path / "b" / "run", params)
    calls = []
    run(prior, tmp_path / "b" / "run", params, progress=lambda *call: calls.append(call))
    assert calls == [(60, 60, "")]
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")


@pytest.mark.parametrize("harm", ["empty", "truncated", "flipped"])
def test_a_damaged_checkpoint_is_set_aside_and_learning_starts_anew(prior, tmp_path, caplog, harm):
    run(prior, tmp_path / "a" / "run")

    def interrupt(done, _total, _note):
        if done >= 40:
            raise KeyboardInterrupt

    out = tmp_path / "b" / "run"
    with pytest.raises(KeyboardInterrupt):
        run(prior, out, progress=interrupt)
    checkpoint = out.with_name("run.partial") / "checkpoint.pt"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    harmed = {"empty": b"", "truncated": bytes(content[:999]), "flipped": bytes(content)}[harm]
    checkpoint.write_bytes(harmed)
    calls = []
    run(prior, out, progress=lambda *call: calls.append(call))
    assert calls[0][0] == 0
    assert len([message for message in caplog.messages if "set aside" in message]) == 1
    assert (out.with_name("run.damaged.partial") / "checkpoint.pt").read_bytes() == harmed
    assert files_of(tmp_path / "a" / "run") == files_of(out)


def test_environments_need_room_in_the_replay_buffer():
    with pytest.raises(ValidationError, match="replay_capacity"):
        make_params(num_envs=21)


@pytest.mark.parametrize(
    ("method", "changes", "key"),
    [
        ("parrot", {"replay_capacity": 10**6}, "finetune.replay_capacity of 1000000"),
        ("parrot_demo", {"demo_episodes": 10**6}, "finetune.demo_episodes of 1000000"),
    ],
)
def test_a_memory_larger_than_the_machines_is_refused_at_the_start(
    prior, tmp_path, monkeypatch, method, changes, key
):
    monkeypatch.setattr("parrot_data.machine.available_memory", lambda: 10**7)
    with pytest.raises(UserError, match=rf"{key} needs at least [\d,]+ bytes"):
        run(prior, tmp_path / "runs" / "run", make_params(**changes), method)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"env_steps": 25}, "the actor would never learn"),
        ({"seeds": ["-1"]}, "seed"),
        ({"methods": ["parrot", "parot"]}, "parot"),
        ({"methods": ["hirl"]}, "hirl needs 'options'"),
        ({"tasks": ["pick-nothing"]}, "pick-nothing"),
        ({"agent": {"learning_rate": float("inf")}}, "finite"),
    ],
)
def test_params_that_no_run_could_follow_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        make_params(**changes)


def test_other_params_discard_the_checkpoint(prior, tmp_path):
    def interrupt(done, _total, _note):
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(prior, tmp_path / "run", progress=interrupt)
    calls = []
    other = make_params(utd=0.25)
    run(prior, tmp_path / "run", other, progress=lambda *call: calls.append(call))
    assert calls[0][0] == 0


def test_the_seed_makes_the_run(prior, tmp_path):
    for name in ("a", "b"):
        run(prior, tmp_path / name / "run")
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")
    params = make_params()
    finetune(params, EVALUATION, ENVIRONMENT, prior, "point", "parrot", 1, tmp_path / "c" / "run")
    agent = "agent.safetensors"
    assert files_of(tmp_path / "a" / "run")[agent] != files_of(tmp_path / "c" / "run")[agent]


def is_made_again(prior, out, **changes):
    """Whether `skip_done` makes the run in `out` again."""
    calls = []
    metrics = run(prior, out, skip_done=True, progress=lambda *call: calls.append(call), **changes)
    assert metrics == json.loads((out / "metrics.json").read_text())
    return bool(calls)


def test_a_finished_run_is_skipped_wherever_its_prior_lies(prior, tmp_path):
    out = tmp_path / "run"
    assert is_made_again(prior, out)
    before = files_of(out)
    assert not is_made_again(prior, out)
    assert not is_made_again(prior.rename(tmp_path / "elsewhere"), out)
    assert not is_made_again(tmp_path / "elsewhere", out, params=make_params(seeds=["0", "1"]))
    assert files_of(out) == before


@pytest.mark.parametrize("change", ["params", "method", "prior", "version"])
def test_a_run_of_anything_else_is_not_skipped(prior, tmp_path, change):
    out = tmp_path / "run"
    run(prior, out)
    if change == "prior":
        (prior / "prior.safetensors").write_bytes(b"other weights")
    if change == "version":
        write_json(out / "config.json", read_json(out / "config.json") | {"schema_version": 0})
    others = {"params": {"params": make_params(utd=0.25)}, "method": {"method": "sac"}}
    assert is_made_again(prior, out, **others.get(change, {}))


@pytest.mark.parametrize("method", METHODS)
def test_evaluate_finds_what_finetune_found(prior, tmp_path, method):
    metrics = run(prior, tmp_path / "run", make_params(agent={"decision_steps": 3}), method)
    again = evaluate(EVALUATION, tmp_path / "run")
    for name in ("success_rate", "num_wrong_object", "num_episodes", "task", "method", "seed"):
        assert again[name] == metrics[name]


def test_evaluate_follows_a_prior_that_moved(prior, tmp_path):
    metrics = run(prior, tmp_path / "run")
    prior.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds no prior"):
        evaluate(EVALUATION, tmp_path / "run")
    again = evaluate(EVALUATION, tmp_path / "run", prior=tmp_path / "elsewhere")
    assert again["success_rate"] == metrics["success_rate"]


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_was_pretrained_as_is_named_where_it_is_missing(tmp_path, method):
    with pytest.raises(UserError, match=METHODS[method].part.command):
        run(tmp_path / "nowhere", tmp_path / "run", method=method)


def test_evaluate_refuses_another_prior(prior, tmp_path):
    run(prior, tmp_path / "run")
    (prior / "prior.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="not the prior"):
        evaluate(EVALUATION, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("agent.safetensors", b"", "was changed after it was written"),
        ("config.json", b"{}", "no config of a run"),
        ("config.json", b"not json", "not readable as JSON"),
        ("SHA256SUMS", b"not sums", "a hash and a name"),
    ],
)
def test_evaluate_names_a_broken_file(prior, tmp_path, name, content, message):
    run(prior, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        evaluate(EVALUATION, tmp_path / "run")
    assert name in str(raised.value)


def test_evaluate_names_an_agent_of_another_run(prior, tmp_path):
    run(prior, tmp_path / "run")
    agent = tmp_path / "run" / "agent.safetensors"
    save_file({"another.weight": torch.zeros(3)}, agent)
    seal(tmp_path / "run", ["agent.safetensors"])
    with pytest.raises(UserError, match="does not hold the agent"):
        evaluate(EVALUATION, tmp_path / "run")


@pytest.mark.parametrize("name", sorted(RESULTS - {"SHA256SUMS"}))
def test_a_flipped_byte_of_a_run_is_noticed(prior, tmp_path, name):
    """By all that read a run: evaluate, report, and finetune where it skips what is done."""
    out = tmp_path / "runs" / "point" / "parrot" / "0"
    run(prior, out)
    read_runs(tmp_path / "runs", [RunKey("point", "parrot", "0")])
    content = bytearray((out / name).read_bytes())
    content[len(content) // 2] ^= 1
    (out / name).write_bytes(content)
    with pytest.raises(UserError):
        evaluate(EVALUATION, out)
    with pytest.raises(UserError):
        read_runs(tmp_path / "runs", [RunKey("point", "parrot", "0")])
    if name != "config.json":  # then it is the run of other values, and made again
        with pytest.raises(UserError, match=rf"{name} was changed .* `parrot finetune` again"):
            run(prior, out, skip_done=True)


def test_a_run_that_lost_its_hashes_is_refused_and_made_again(prior, tmp_path):
    out = tmp_path / "run"
    run(prior, out)
    (out / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match="SHA256SUMS"):
        evaluate(EVALUATION, out)
    assert is_made_again(prior, out)
    assert (out / "SHA256SUMS").exists()


def change_config(prior, **changes):
    path = prior / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"episode_steps": 25}, "environment.episode_steps = 25, but params say 5"),
        ({"proprioception": False}, "environment.proprioception = False, but params say True"),
        ({"gravity": 9.8}, "environment.gravity = 9.8, but params say None"),
    ],
)
def test_a_prior_of_another_environment_is_refused(prior, tmp_path, changes, message):
    change_config(prior, params={"environment": ENVIRONMENT.model_dump() | changes})
    with pytest.raises(UserError, match=message) as raised:
        run(prior, tmp_path / "run")
    assert str(prior) in str(raised.value)
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.parametrize("lost", ["params", "data_manifest_sha256"])
def test_a_prior_of_unknown_origin_is_refused(prior, tmp_path, lost):
    change_config(prior, **{lost: None})
    with pytest.raises(UserError, match=r"config\.json does not say what its prior was made from"):
        run(prior, tmp_path / "run")


def test_a_run_records_all_it_was_made_from(prior, tmp_path):
    def config(name, **changes):
        run(prior, tmp_path / name / "run", make_params(**changes))
        return json.loads((tmp_path / name / "run" / "config.json").read_text())

    first = config("a")
    assert first["data_manifest_sha256"] == DATA_MANIFEST
    assert set(first["prior_sha256"]) == {"config.json", "prior.safetensors"}
    assert config("b", utd=0.25)["params_sha256"] != first["params_sha256"]
    assert config("c", seeds=["0", "1"]) == first


def test_mistakes_are_told_before_any_work(prior, tmp_path):
    with pytest.raises(UserError, match="no task is called 'pint'"):
        run(prior, tmp_path / "run", task="pint")
    with pytest.raises(UserError, match="no method is called 'parot'"):
        run(prior, tmp_path / "run", method="parot")
    with pytest.raises(UserError, match="holds no prior"):
        run(tmp_path / "nowhere", tmp_path / "run")
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_envs", [1, 2])
def test_a_learning_rate_that_diverges_publishes_nothing(prior, tmp_path, method, num_envs):
    params = make_params(num_envs=num_envs, agent={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"env step \d+ of fine-tuning"):
        run(prior, tmp_path / "run", params, method)
    assert not (tmp_path / "run").exists()
    checkpoint = tmp_path / "run.partial" / "checkpoint.pt"
    if checkpoint.exists():
        weights = load_checkpoint(checkpoint)["learner"]["agent"]["weights"]
        assert all(value.isfinite().all() for value in weights.values())


def test_divergence_in_the_very_last_update_publishes_nothing(prior, tmp_path, monkeypatch):
    learn = Learner.run_round

    def spoil(learner):
        episodes = learn(learner)
        if learner.env_steps == 60:
            learner.agent.actor.layers[0].weight.data[0, 0] = torch.nan
        return episodes

    monkeypatch.setattr(Learner, "run_round", spoil)
    with pytest.raises(UserError, match=r"diverged: its weights actor\.layers\.0\.weight"):
        run(prior, tmp_path / "run", make_params(checkpoint_every_steps=1000))
    assert not (tmp_path / "run").exists()


def test_evaluate_refuses_weights_that_are_not_finite(prior, tmp_path):
    run(prior, tmp_path / "run")
    path = tmp_path / "run" / "agent.safetensors"
    weights = load_file(path)
    weights["actor.layers.0.weight"][0, 0] = torch.nan
    save_file(weights, path)
    seal(tmp_path / "run", ["agent.safetensors"])
    with pytest.raises(UserError, match=r"diverged: its weights actor\.layers\.0\.weight"):
        evaluate(EVALUATION, tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"env_steps": 20},  # ends with the warm-up
        {"env_steps": 10},
        {"critic_only_updates": 40},
        {"utd": 0.0},
    ],
)
def test_a_run_that_ends_before_its_actor_learns_is_refused(changes):
    with pytest.raises(ValidationError, match="the actor would never learn"):
        make_params(**{"critic_only_updates": 5} | changes)


def test_a_run_may_end_with_the_first_update_of_its_actor(prior, tmp_path):
    run(prior, tmp_path / "run", make_params(env_steps=31, critic_only_updates=4))


@pytest.mark.parametrize("hidden", [[10**9], [10**30], [32], [-1], [0], [1] * 10**4, [16, 16]])
def test_an_agent_of_other_sizes_than_its_weights_is_refused(tmp_path, prior, hidden):
    run(prior, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config["agent"]["hidden"] = hidden
    path.write_text(json.dumps(config))
    seal(tmp_path / "run", ["agent.safetensors", "config.json"])
    with pytest.raises(UserError, match=r"does not hold the agent|is no config of a run"):
        run_folder.load_run(tmp_path / "run")


def test_a_run_that_is_written_through_a_link_finds_its_prior(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    link = tmp_path / "run"
    link.symlink_to(tmp_path / "disk" / "deep")
    prior = tmp_path / "prior"
    prior.mkdir()
    assert (link / finetune_stage._path_from(link, prior)).samefile(prior)
