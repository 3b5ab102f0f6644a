"""The same bytes from any number of workers, through kills and interrupts, of any world."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from synthetic import files_of, hashes_of

from parrot_data.errors import UserError
from parrot_data.generate import GenerateParams, generate
from parrot_data.interruption import ENDING
from parrot_data.stores.entries import entry_of
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.sources import code_of
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from tests.noting_world import BROKEN_AT, DELAY_S, ERROR, LOG, NUM_EPISODES

KWARGS = {"action_dim": 3, "images": {"camera": [6, 9]}, "max_steps": 8}
# What a shell would run: it says when it was interrupted, as the command line does.
PROGRAM = """
import signal
import sys
from pathlib import Path
from tests.parrot_data.test_generate import ENVIRONMENT, generate, generate_params
if __name__ == "__main__":
    # A shell that runs the tests in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        generate(generate_params(), ENVIRONMENT, Path(sys.argv[1]), workers=int(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


def environment(name: str, **values: object) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python({"name": name, **values})


CODE_OF = cache(code_of)
ENVIRONMENT = environment("tests.noting_world:NotingWorld", kwargs=KWARGS)


def generate_params(**changes: object) -> GenerateParams:
    values: dict[str, Any] = {
        "seed": 0,
        "num_episodes": NUM_EPISODES,
        "episodes_per_file": 5,
        "tasks": {"reach-near": 0.7, "reach-far": 0.3},
        "zstd_level": 3,
    }
    return GenerateParams(**{**values, **changes})


def run(out: Path, workers: int = 1, world: EnvironmentParams = ENVIRONMENT, **changes: object):
    return generate(generate_params(**changes), world, out, workers=workers)


@pytest.fixture(autouse=True)
def _code_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not change meanwhile, and reading it takes longer than these small worlds."""
    monkeypatch.setattr("parrot_data.generate.code_of", CODE_OF)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Episode 12 fails until this is undone."""
    monkeypatch.setenv(BROKEN_AT, "12")
    return monkeypatch


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every process notes the episodes that it begins."""
    (tmp_path / "log").mkdir()
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    return tmp_path / "log"


def test_result_holds_every_episode_in_order_and_its_spec(tmp_path: Path) -> None:
    summary = run(tmp_path / "e")
    manifest = verify(tmp_path / "e")
    world = make_world(ENVIRONMENT)
    demonstrations = Demonstrations(world, generate_params().tasks, seed=0)
    expected = [demonstrations.episode(index) for index in range(NUM_EPISODES)]
    successes = sum(episode.success for episode in expected)
    assert summary == {
        "num_episodes": 23,
        "num_successes": successes,
        "success_rate": successes / 23,
    }
    assert list(manifest.entries(tmp_path / "e")) == [entry_of(episode) for episode in expected]
    assert hashes_of(read_episodes(tmp_path / "e", world.spec)) == hashes_of(expected)
    assert {episode.task for episode in expected} == {"reach-near", "reach-far"}
    assert len({episode.num_steps for episode in expected}) > 2
    assert [file.num_episodes for file in manifest.files] == [5, 5, 5, 5, 3]
    assert manifest.params["environment"] == ENVIRONMENT.model_dump()
    assert manifest.spec == world.spec
    assert {p.name for p in tmp_path.iterdir()} == {"e"}


def test_number_of_workers_does_not_show(tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        run(tmp_path / str(workers), workers)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2") == files_of(tmp_path / "3")


def test_tasks_occur_by_weight_and_one_of_no_weight_never() -> None:
    world = make_world(ENVIRONMENT)
    for weights, least, most in (((3.0, 1.0), 0.55, 0.95), ((1.0, 0.0), 1.0, 1.0)):
        tasks = dict(zip(("reach-near", "reach-far"), weights, strict=True))
        made = Demonstrations(world, tasks, seed=0)
        near = [made.episode(index).task == "reach-near" for index in range(NUM_EPISODES)]
        assert least <= np.mean(near) <= most


def test_progress_counts_every_episode_and_first_what_was_there(tmp_path: Path, broken) -> None:
    params, calls = generate_params(), []

    def listen(done: int, total: int, note: str) -> None:
        calls.append((done, total))

    with pytest.raises(UserError, match="too crowded"):
        generate(params, ENVIRONMENT, tmp_path / "e", workers=1, progress=listen)
    assert calls == [(done, 23) for done in range(13)]
    calls.clear()
    broken.undo()
    generate(params, ENVIRONMENT, tmp_path / "e", workers=1, progress=listen)
    assert calls == [(done, 23) for done in range(10, 24)]  # two whole files were there


def test_finished_files_are_not_made_again(tmp_path: Path, broken) -> None:
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e")
    (tmp_path / "log").mkdir()
    broken.undo()
    broken.setenv(LOG, str(tmp_path / "log"))
    run(tmp_path / "e")
    assert collected(tmp_path / "log") == set(range(10, 23))
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [("defect", RuntimeError, "the world is flat"), ("death", UserError, "exit code 7")],
)
def test_what_ends_a_worker_is_said(tmp_path: Path, broken, kind: str, error, words: str) -> None:
    broken.setenv(ERROR, kind)
    with pytest.raises(error, match=words):
        run(tmp_path / "e")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    "name", ["episodes-00000.tar", "episodes-00000.jsonl", "episodes-00000.json"]
)
@pytest.mark.parametrize("harm", ["flip", "empty"])
def test_a_damaged_file_of_unfinished_work_is_made_again_and_never_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken, log: Path, name: str, harm: str
) -> None:
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e")
    path = tmp_path / "e.partial" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(b"" if harm == "empty" else bytes(content))
    clear(log)
    broken.delenv(BROKEN_AT)
    run(tmp_path / "e")
    assert collected(log) == {*range(5), *range(10, 23)}
    assert len([m for m in caplog.messages if "made again" in m]) == 1
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("harm", ["shorten", "other params", "other world"])
def test_what_is_not_this_runs_finished_work_is_made_again(
    tmp_path: Path, broken, log: Path, harm: str
) -> None:
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e")
    if harm == "shorten":
        os.truncate(tmp_path / "e.partial" / "episodes-00000.tar", 100)
    changes = {"tasks": {"reach-far": 1.0}} if harm == "other params" else {}
    world = ENVIRONMENT
    if harm == "other world":
        world = environment("tests.noting_world:NotingWorld", kwargs={**KWARGS, "max_steps": 9})
    clear(log)
    broken.delenv(BROKEN_AT)
    run(tmp_path / "e", world=world, **changes)
    again = set(range(5)) if harm == "shorten" else set(range(10))
    assert collected(log) == again | set(range(10, 23))
    verify(tmp_path / "e")


def test_another_source_of_a_users_world_is_other_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    source = tmp_path / "my_world.py"
    source.write_text("from tests.noting_world import NotingWorld as make  # as it was\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(BROKEN_AT, "12")
    world = environment("my_world:make", kwargs=KWARGS)
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", world=world)
    source.write_text("from tests.noting_world import NotingWorld as make  # as it is\n")
    clear(log)
    monkeypatch.delenv(BROKEN_AT)
    run(tmp_path / "e", world=world)
    assert collected(log) == set(range(23))


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_leaves_no_worker_and_resumes_to_the_same_bytes(
    tmp_path: Path, log: Path, workers: int
) -> None:
    process = started(tmp_path, log, workers)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(is_running(int(path.name)) for path in log.iterdir()))
    before = collected(log)
    assert before < set(range(23))
    assert not (tmp_path / "e").exists()
    run(tmp_path / "e", workers)
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_is_answered_once_and_leaves_no_worker(
    tmp_path: Path, log: Path, workers: int
) -> None:
    process = started(tmp_path, log, workers)
    pids = {int(path.name) for path in log.iterdir()}
    assert all(is_deaf(pid) for pid in pids - {process.pid})
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert stderr.splitlines() == ["interrupted"]  # no worker's traceback beside it
    assert process.returncode == 1
    assert not any(is_running(pid) for pid in pids)
    run(tmp_path / "e")
    verify(tmp_path / "e")


def test_result_is_replaced_only_by_a_whole_one(tmp_path: Path, monkeypatch) -> None:
    run(tmp_path / "e")
    old = files_of(tmp_path / "e")
    monkeypatch.setenv(BROKEN_AT, "12")
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", seed=1)
    assert files_of(tmp_path / "e") == old
    monkeypatch.delenv(BROKEN_AT)
    run(tmp_path / "e", seed=1)
    assert load_manifest(tmp_path / "e", "episodes").params["generate"]["seed"] == 1


def test_no_worker_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--workers"):
        run(tmp_path / "e", workers=0)


@pytest.mark.parametrize(
    ("world", "changes", "sentence"),
    [
        (ENVIRONMENT, {"tasks": {"juggle": 1.0}},
         r"generate.tasks: 'juggle' is none of .*demonstrates: reach-near, reach-far"),
        (environment(
            "gymnasium", tasks={"near": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}},
            success={"info": "is_success"}, max_steps=None,
        ), {}, "demonstrates nothing"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "demonstrator"}), {},
         "the world's demonstrator, a object, lacks tasks, make_env, begin"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "names"}), {},
         "episode 0 of reach.* has the observations goal, place where its spec names goal, posi"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "dtype"}), {},
         "episode 0 of reach.* observation goal is float64"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "later dtype"}), {},
         "episode 0 of reach"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "nan"}), {},
         "goal holds what is not a finite number"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "action"}), {},
         "actions holds what is not a finite number"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "wide action"}), {},
         r"actions of <f4\(\d+, 3\)"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "privileged"}), {},
         "it has .* where the spec has .*privileged.goal_position"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "facts"}), {}, "JSON"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "endless"}), {},
         "did not end its episode within 30 steps: wrap it in gymnasium's TimeLimit"),
        (environment("tests.toy_world:WrongWorld", kwargs={"wrong": "success"}), {},
         "does not say whether a task is achieved"),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_said_in_one_sentence(
    tmp_path: Path, world: EnvironmentParams, changes: dict, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        run(tmp_path / "e", world=world, **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": {}},
        {"tasks": {"pick": 0.0}},
        {"tasks": {"pick": 2.0, "place": -1.0}},
        {"tasks": ["pick"]},
        {"num_episodes": 0},
        {"seed": "1"},
        {"colour": 1},
    ],
)
def test_impossible_params_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        generate_params(**change)


def test_simulation_gives_the_same_bytes_from_one_and_from_two_workers(tmp_path: Path) -> None:
    world = environment(
        "tabletop", image_size=16, proprioception=True, episode_steps=25,
        demonstrations={"action_noise": 0.1, "num_objects": [2, 3]},
    )  # fmt: skip
    tasks = {"pick": 1.0, "place": 1.0, "pick-cup": 1.0}
    for workers in (1, 2):
        run(
            tmp_path / str(workers),
            workers,
            world,
            num_episodes=4,
            episodes_per_file=2,
            tasks=tasks,
        )
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2")
    verify(tmp_path / "1")


def clear(log: Path) -> None:
    for path in log.iterdir():
        path.unlink()


def collected(log: Path) -> set[int]:
    return {int(index) for path in log.iterdir() for index in path.read_text().split()}


def started(tmp_path: Path, log: Path, workers: int) -> subprocess.Popen[str]:
    """A run in a process group of its own, well into its work but far from its end."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "e"), str(workers)],
        env={
            **os.environ,
            DELAY_S: "0.1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    done = tmp_path / "e.partial" / "episodes-00000.json"
    wait_until(lambda: done.exists() and len(list(log.iterdir())) == workers)
    return process


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_deaf(pid: int) -> bool:
    """Whether the process blocks Ctrl-C, TERM and a hang-up: only its parent is to answer."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    blocked = next(line.split()[1] for line in lines if line.startswith("SigBlk:"))
    return all(int(blocked, 16) & 1 << signum - 1 for signum in ENDING)
