from __future__ import annotations

import csv
import functools
import json
import multiprocessing
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from rl_fakes import PARAMS
from safetensors.torch import load_file, save_file

from cli.live import live_curves
from parrot_data.errors import UserError
from parrot_data.interruption import ENDING, Interrupted
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import seal
from parrot_data.stores.sources import code_of
from parrot_data.worlds.params import GymnasiumParams, OwnWorldParams
from parrot_models import finetune as finetune_stage
from parrot_models.evaluate import evaluate
from parrot_models.finetune import FinetuneParams, finetune
from parrot_models.methods.params import EvaluateParams
from parrot_models.methods.runs import RunConfig
from parrot_models.methods.table import METHODS
from parrot_models.networks.checkpoint import load_checkpoint
from parrot_models.report_page.learning import RunKey
from parrot_models.report_page.runs import read_runs
from parrot_models.rl.learner import Learner
from tests.event_files import Told, points_of
from tests.parrot_models.small_parts import DATA_MANIFEST, PARTS, save_part
from tests.parrot_models.small_shards import made_up_episode, write_shards
from tests.toy_world import make_world


def environment(**robot):
    """Episodes of five steps each, whatever happens in them."""
    kwargs = {"max_steps": 5, "ends": False, "action_dim": 2, **robot}
    return OwnWorldParams(name="tests.toy_world:make_world", kwargs=kwargs)


TASK = "reach-near"
ENVIRONMENT = environment(images={"camera": [16, 20]})
EVALUATION = EvaluateParams(seed=7, num_episodes=4)
RESULTS = {
    "README.md",
    "SHA256SUMS",
    "agent.safetensors",
    "config.json",
    "curve.csv",
    "evaluation.json",
    "metrics.json",
    "video.gif",
}


CODE = functools.cache(code_of)


@pytest.fixture(autouse=True)
def code_is_read_once(monkeypatch):
    """It takes longer than all the rest of a run, and does not change between tests."""
    monkeypatch.setattr(finetune_stage, "code_of", CODE)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Every part, for the environment of most tests."""
    folder, spec = tmp_path_factory.mktemp("models"), make_world(**ENVIRONMENT.kwargs).spec
    for part in PARTS:
        save_part(part, spec, folder / part)
    return folder


@pytest.fixture
def parts(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "models"))


@pytest.fixture
def prior(parts):
    return parts / "prior"


def part_of(parts, method):
    return parts / METHODS[method].part.name


def make_params(**changes):
    agent = {**PARAMS.model_dump(), "precision": "bf16"}
    agent |= changes.pop("agent", {})
    values = {
        "tasks": [TASK],
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


def run(prior, out, params=None, method="parrot", task=TASK, progress=lambda *_: None, **options):
    return finetune(
        params or make_params(),
        EVALUATION,
        options.pop("environment", ENVIRONMENT),
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
def test_a_run_leaves_its_results_and_nothing_else(parts, tmp_path, method, observe):
    params = make_params(agent={"observe": observe})
    metrics = run(part_of(parts, method), tmp_path / "run", params, method)
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


def columns_of(folder):
    """Of curve.csv, what is measured: {name: {step: value}}."""
    with (folder / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: {int(row["env_steps"]): float(row[name]) for row in rows if row[name]}
        for name in rows[0].keys() - {"env_steps", "num_episodes"}
    }


@pytest.mark.parametrize("num_envs", [1, 2])
def test_the_curve_grows_row_by_row_and_is_told(prior, tmp_path, num_envs):
    params, curves, told = make_params(num_envs=num_envs, env_steps=70), [], Told()
    growing = tmp_path / "b" / "run.partial" / "curve.csv"

    def look(*_):
        curves.append(growing.read_bytes() if growing.exists() else b"")

    run(prior, tmp_path / "a" / "run", params)
    run(prior, tmp_path / "b" / "run", params, progress=look, scalars=told)
    whole = files_of(tmp_path / "b" / "run")
    assert whole == files_of(tmp_path / "a" / "run")
    assert all(whole["curve.csv"].startswith(curve) for curve in curves)
    assert curves[-1] == whole["curve.csv"]
    columns = columns_of(tmp_path / "b" / "run")
    # A header, then the rows that end in another round each
    assert len({curve for curve in curves if curve}) == len(columns["success_rate"])
    for name, column in columns.items():
        read = told.column("finetune", name)
        assert {step: round(value, 6) for step, value in read} == column


@pytest.mark.parametrize("stop_after", [5, 30, 40, 55])
def test_event_files_of_an_interrupted_run_hold_its_curve(prior, tmp_path, stop_after, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = make_params()
    run(prior, tmp_path / "a" / "run", params)
    out = Path("b/run")

    def interrupt(done, _total, _note):
        if done >= stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), live_curves("logs", out) as scalars:
        run(prior, out, params, progress=interrupt, scalars=scalars)
    with live_curves("logs", out) as scalars:
        run(prior, out, params, scalars=scalars)
    assert files_of(tmp_path / "a" / "run") == files_of(out)
    points = points_of(Path("logs/b/run/finetune"))
    for name, column in columns_of(out).items():
        read = points[f"finetune/{name}"]
        assert [step for step, _ in read] == list(column)
        assert dict(read) == pytest.approx(column, abs=1e-5)


@pytest.mark.parametrize(
    ("method", "stop_after"),
    [("parrot_executed", 20), ("parrot_executed", 55), *((name, 40) for name in METHODS)],
)
def test_an_interrupted_run_ends_as_if_never_interrupted(parts, tmp_path, method, stop_after):
    agent = {"decision_steps": 3, "hold_steps": 2}
    params, prior = make_params(agent=agent), part_of(parts, method)
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


@pytest.fixture
def shown(tmp_path):
    """Demonstrations of the task."""
    spec = make_world(**ENVIRONMENT.kwargs).spec.model_copy(update={"privileged": {}})
    made = [replace(made_up_episode(spec, index, 5), task=TASK) for index in range(3)]
    return write_shards(tmp_path / "shown", made, spec)


@pytest.mark.parametrize("method", ["parrot", "parrot_executed", "sac"])
def test_a_run_with_demonstrations_resumes_and_is_another_than_without(
    prior, shown, tmp_path, method
):
    run(prior, tmp_path / "a" / "run", method=method, demonstrations=shown)

    def interrupt(done, _total, _note):
        if done >= 40:
            raise KeyboardInterrupt

    out = tmp_path / "b" / "run"
    with pytest.raises(KeyboardInterrupt):
        run(prior, out, method=method, demonstrations=shown, progress=interrupt)
    run(prior, out, method=method, demonstrations=shown)
    assert files_of(tmp_path / "a" / "run") == files_of(out)
    run(prior, tmp_path / "c" / "run", method=method)
    assert (
        files_of(tmp_path / "c" / "run")["agent.safetensors"] != files_of(out)["agent.safetensors"]
    )
    assert is_made_again(prior, out, method=method)
    assert evaluate(EVALUATION, tmp_path / "a" / "run")["task"] == TASK


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
    parts, tmp_path, method, stop_after
):
    params, prior = make_params(num_envs=2), part_of(parts, method)
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
        ({"tasks": ["pick/cup"]}, "tasks"),
        ({"tasks": ["pick-cup", "pick-cup"]}, "twice"),
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
    finetune(params, EVALUATION, ENVIRONMENT, prior, TASK, "parrot", 1, tmp_path / "c" / "run")
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
        weights = load_file(prior / "prior.safetensors")
        save_file({k: v + 1e-3 for k, v in weights.items()}, prior / "prior.safetensors")
    if change == "version":
        write_json(out / "config.json", read_json(out / "config.json") | {"schema_version": 0})
    others = {"params": {"params": make_params(utd=0.25)}, "method": {"method": "sac"}}
    assert is_made_again(prior, out, **others.get(change, {}))


@pytest.mark.parametrize("method", METHODS)
def test_evaluate_finds_what_finetune_found(parts, tmp_path, method):
    params = make_params(agent={"decision_steps": 3, "hold_steps": 2})
    metrics = run(part_of(parts, method), tmp_path / "run", params, method)
    again = evaluate(EVALUATION, tmp_path / "run")
    for name in ("success_rate", "outcomes", "num_episodes", "task", "method", "seed"):
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
    out = tmp_path / "runs" / TASK / "parrot" / "0"
    run(prior, out)
    read_runs(tmp_path / "runs", [RunKey(TASK, "parrot", "0")])
    content = bytearray((out / name).read_bytes())
    content[len(content) // 2] ^= 1
    (out / name).write_bytes(content)
    with pytest.raises(UserError):
        evaluate(EVALUATION, out)
    with pytest.raises(UserError):
        read_runs(tmp_path / "runs", [RunKey(TASK, "parrot", "0")])
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
    ("robot", "field"),
    [
        ({"images": {"camera": [16, 24]}}, r"observations\.camera: uint8 \(16, 20, 3\) against"),
        ({"images": {}}, r"observations\.camera: uint8 \(16, 20, 3\) against none"),
        ({"images": {"camera": [16, 20]}, "has_vectors": False}, r"observations\.goal"),
        ({"images": {"camera": [16, 20]}, "is_bounded": False}, "the bounds of the action"),
    ],
)
def test_a_part_of_other_data_than_the_worlds_is_refused(parts, tmp_path, robot, field):
    for method in METHODS:
        prior = part_of(parts, method)
        with pytest.raises(UserError, match=field) as raised:
            run(prior, tmp_path / "run", method=method, environment=environment(**robot))
        assert str(prior) in str(raised.value)
        assert METHODS[method].part.command in str(raised.value)
        assert not (tmp_path / "run.partial").exists()


def test_a_part_of_data_that_were_simulated_otherwise_serves(prior, tmp_path):
    """What counts is what is seen and done, not the params of a world."""
    longer = environment(images={"camera": [16, 20]}, max_steps=6)
    metrics = run(prior, tmp_path / "run", make_params(), environment=longer)
    assert metrics["env_steps"] == 60


def test_evaluate_refuses_a_world_that_has_changed(prior, tmp_path):
    run(prior, tmp_path / "run")
    config = RunConfig.model_validate(read_json(tmp_path / "run" / "config.json"))
    changed = config.environment | {"kwargs": environment(images={"camera": [16, 24]}).kwargs}
    write_json(tmp_path / "run" / "config.json", config.model_dump() | {"environment": changed})
    seal(tmp_path / "run", sorted(RESULTS - {"SHA256SUMS"}))
    with pytest.raises(UserError, match=r"has changed since \(observations\.camera"):
        evaluate(EVALUATION, tmp_path / "run")


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
    assert first["spec"] == make_world(**ENVIRONMENT.kwargs).spec.model_dump()
    assert first["environment"] == ENVIRONMENT.model_dump()
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
def test_a_learning_rate_that_diverges_publishes_nothing(parts, tmp_path, method, num_envs):
    prior = part_of(parts, method)
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
    seal(tmp_path / "run", sorted(RESULTS - {"SHA256SUMS"}))
    words = r"agent\.safetensors does not hold the agent|no config of a run \(agent\.hidden"
    with pytest.raises(UserError, match=words):
        evaluate(EVALUATION, tmp_path / "run")


ROBOTS = {
    "vectors alone": {"action_dim": 4},
    "one image": {"action_dim": 1, "images": {"camera": [64, 64]}, "has_vectors": False},
    "two images, unbounded": {
        "action_dim": 14, "images": {"front": [36, 52], "wrist": [25, 32]}, "is_bounded": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_on_every_robot_that_has_what_it_needs(tmp_path, method, robot):
    world = environment(**robot | {"max_steps": 12, "ends": True})
    spec, part = make_world(**world.kwargs).spec, METHODS[method].part.name
    if part == "vae" and not spec.images:
        with pytest.raises(UserError, match="learns images, and the data have vectors alone"):
            save_part(part, spec, tmp_path / part)
        return
    prior = save_part(part, spec, tmp_path / part)
    for observe in ("features", "image"):
        params = make_params(agent={"observe": observe}, video_episodes=1)
        out = tmp_path / observe
        metrics = run(prior, out, params, method, environment=world)
        assert evaluate(EVALUATION, out)["success_rate"] == metrics["success_rate"]
        assert set(metrics["outcomes"]) == {"near"}
        weights = load_file(out / "agent.safetensors")
        num_encoders = len({key.split(".")[2] for key in weights if "trunk.encoders" in key})
        sees = observe == "image" and method not in ("bc_sac", "vae_features")
        assert num_encoders == (len(spec.images) if sees else 0)


def test_episodes_of_any_length_in_several_environments(tmp_path):
    world = environment(action_dim=1, max_steps=12, ends=True)
    spec = make_world(**world.kwargs).spec
    prior = save_part("prior", spec, tmp_path / "prior")
    params = make_params(num_envs=2, env_steps=80)
    for name in ("a", "b"):
        run(prior, tmp_path / name / "run", params, environment=world)
    assert files_of(tmp_path / "a" / "run") == files_of(tmp_path / "b" / "run")


def test_an_environment_that_somebody_registered_is_learned_in(tmp_path):
    world = GymnasiumParams.model_validate(
        {
            "name": "gymnasium",
            "tasks": {"reach": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {"action_dim": 3}}},
            "success": {"info": "is_success"},
            "max_steps": 5,
        }
    )
    spec = make_world(action_dim=3).spec
    prior = save_part("prior", spec, tmp_path / "prior")
    metrics = run(prior, tmp_path / "run", task="reach", environment=world)
    assert evaluate(EVALUATION, tmp_path / "run")["success_rate"] == metrics["success_rate"]


def test_where_learning_starts_from_is_told_drawn_and_at_the_mode(parts, tmp_path):
    for method in ("parrot", "bc_sac", "hirl", "sac"):
        metrics = run(part_of(parts, method), tmp_path / method, method=method)
        assert 0 <= metrics["untrained_success_rate"] <= 1
        has_mode = metrics["untrained_mode_success_rate"] is not None
        assert has_mode == (method != "sac")


def test_a_world_that_shows_nothing_is_learned_in_without_a_film(prior, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.toy_world.ReachEnv.render", lambda _env: None)
    with pytest.raises(UserError, match=r"set finetune\.video_episodes to 0"):
        run(prior, tmp_path / "run")
    run(prior, tmp_path / "run", make_params(video_episodes=0))
    assert set(files_of(tmp_path / "run")) == RESULTS - {"video.gif"}
    evaluate(EVALUATION, tmp_path / "run")


def test_a_run_that_is_written_through_a_link_finds_its_prior(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    link = tmp_path / "run"
    link.symlink_to(tmp_path / "disk" / "deep")
    prior = tmp_path / "prior"
    prior.mkdir()
    assert (link / finetune_stage._path_from(link, prior)).samefile(prior)
