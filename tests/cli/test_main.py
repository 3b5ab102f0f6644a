"""The command line: its contract, its speed of start, and one sentence for every mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from cli.main import app
from cli.panels import PANELS
from parrot_data.stores.manifest import load_any_manifest
from tests.cli.commands import parrot

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "generate": ("--out", "--workers", "--ray", "--cpus"),
    "filter": ("--episodes", "--out"),
    "shard": ("--episodes", "--kept", "--out"),
    "train-prior": ("--data", "--out", "--logs"),
    "pretrain": ("--method", "--data", "--out", "--logs"),
    "judge": ("--model", "--out", "--device"),
    "finetune": ("--prior", "--task", "--method", "--seed", "--out", "--skip-done", "--logs"),
    "evaluate": ("RUN",),
    "film": ("RUN", "--out", "--device"),
    "report": ("--out", "--audited"),
    "sweep": ("--runs", "--jobs", "--ray", "--cpus", "--gpus", "--threads", "--device"),
    "matrix": ("--runs",),
    "explore": ("--prior", "--bc", "--out"),
    "audit": ("PRIOR", "--data", "--out", "--judge"),
    "report-study": ("KIND", "--study", "--out"),
}
TINY = ("generate.num_episodes=6", "generate.episodes_per_file=3", "generate.tasks={pick: 1.0}")


def with_params(*arguments: str | Path) -> Result:
    overrides = [part for value in TINY for part in ("--set", value)]
    return parrot(*arguments, "--params", ROOT / "params.yaml", *overrides)


def assert_one_sentence(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.count("error: ") == 1
    sentence = next(line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert result.stderr.endswith(sentence + "\n")
    for word in words:
        assert word in sentence
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pipeline") / "episodes"
    done = with_params("generate", "--out", out, "--workers", "1")
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def shards(episodes: Path) -> Path:
    kept, out = episodes.with_name("kept"), episodes.with_name("shards")
    first = with_params("filter", "--episodes", episodes, "--out", kept)
    assert first.exit_code == 0, first.output
    second = with_params("shard", "--episodes", episodes, "--kept", kept, "--out", out)
    assert second.exit_code == 0, second.output
    return out


@pytest.fixture
def damaged(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "shards"))


def test_help_lists_the_commands_in_the_pipelines_order() -> None:
    shown = parrot("--help")
    assert shown.exit_code == 0
    places = [re.search(rf"│ {name} ", shown.output).start() for name in COMMANDS]  # type: ignore[union-attr]
    assert places == sorted(places)


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    assert {command.rich_help_panel for command in app.registered_commands} == set(PANELS)
    shown = parrot("--help").output
    places = [shown.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places)
    assert "─ Commands ─" not in shown


def test_a_shell_completes_commands() -> None:
    code = "import sys; sys.argv[0] = 'parrot'; from cli.entry import main; main()"
    asked = {"_PARROT_COMPLETE": "complete_bash", "COMP_WORDS": "parrot tra", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["train-prior"], "")


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_those_others_script_against(command: str) -> None:
    shown = parrot(command, "--help").output
    for option in (*COMMANDS[command], "--params", "--set"):
        assert option in shown


def test_help_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'numpy', 'pydantic', 'gymnasium', 'pybullet', 'zarr', 'yaml', 'tensorboard'}"
    code = (
        "import sys; from typer.testing import CliRunner; from cli.main import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_matrix_gives_the_options_of_each_run_the_first_seed_of_all_first() -> None:
    tasks = ("pick-cup", "pick-bar")
    values = {"seeds": '["3", "5"]', "tasks": f"[{', '.join(tasks)}]", "methods": "[parrot]"}
    overrides = [part for key in values for part in ("--set", f"finetune.{key}={values[key]}")]
    shown = parrot("matrix", "--runs", "r", "--params", ROOT / "params.yaml", *overrides)
    assert shown.output.splitlines() == [
        f"--task {task} --method parrot --seed {seed} --out r/{task}/parrot/{seed}"
        for seed in ("3", "5")
        for task in tasks
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("exploration", ("metrics.json is missing",)),
        ("mismatch", ("the section study is missing",)),
    ],
)
def test_a_study_that_was_not_made_is_one_sentence(
    tmp_path: Path, kind: str, words: tuple[str, ...]
) -> None:
    folders = ("--study", tmp_path, "--out", tmp_path / "out")
    done = parrot("report-study", kind, "--params", ROOT / "params.yaml", *folders)
    assert_one_sentence(done, *words)


def test_version_is_that_of_the_package() -> None:
    shown = parrot("--version")
    assert shown.exit_code == 0
    assert re.fullmatch(r"parrot \d+\.\d+\.\d+\n", shown.output)


def test_info_tells_kind_and_hash_of_every_artefact(episodes: Path, shards: Path) -> None:
    for folder, kind in (
        (episodes, "dataset of episodes"),
        (episodes.with_name("kept"), "decision of filter"),
        (shards, "dataset of shards"),
    ):
        shown = parrot("info", folder)
        assert shown.exit_code == 0, shown.output
        assert kind in shown.output
        assert re.search(r"sha256\S* +[0-9a-f]{64}", shown.output)


def test_info_tells_what_a_dataset_shows(episodes: Path, shards: Path) -> None:
    for folder in (episodes, shards):
        entries = list(load_any_manifest(folder).entries(folder))
        shown = dict(line.split(maxsplit=1) for line in parrot("info", folder).output.splitlines())
        assert shown["num_episodes_of.pick"] == str(len(entries))
        assert shown["num_steps"] == "25 to 25"
        assert shown["num_terminated"] == "0"
        assert shown["spec.action.dim"] == "7"


def test_info_says_first_what_it_is_and_how_large_then_params_and_hashes_last(
    episodes: Path,
) -> None:
    lines = parrot("info", episodes).output.splitlines()
    names = [line.split()[0] for line in lines[1:]]
    kinds = list(dict.fromkeys(name.split(".")[0] for name in names))
    assert kinds[:3] == ["seed", "num_episodes", "num_successes"]
    assert kinds[-4:] == ["schema_version", "params", "spec", "sha256"]


def test_info_of_parts_says_what_each_method_starts_from(tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    path.write_text(json.dumps({"parrot": "a" * 64, "bc_sac": None}))
    shown = parrot("info", path)
    assert shown.exit_code == 0, shown.output
    told = dict(line.split(maxsplit=1) for line in shown.output.splitlines())
    assert told["starts_from.parrot"] == "prior"
    assert told["starts_from.bc_sac"].startswith("bc (not trained")
    assert told["sha256.parrot"] == "a" * 64
    path.write_text("{}")
    assert_one_sentence(parrot("info", path), str(tmp_path))


def test_info_of_a_file_is_that_of_its_folder(shards: Path) -> None:
    assert parrot("info", shards / "manifest.json").output == parrot("info", shards).output


def test_verify_passes_what_was_written(episodes: Path, shards: Path) -> None:
    for folder in (episodes, shards):
        assert parrot("verify", folder).exit_code == 0


def test_a_missing_shard_is_named(damaged: Path) -> None:
    tar = next(damaged.rglob("*.tar"))
    tar.unlink()
    assert_one_sentence(parrot("verify", damaged), str(tar), "missing")


def test_a_truncated_shard_is_named(damaged: Path) -> None:
    tar = next(damaged.rglob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1000])
    assert_one_sentence(parrot("verify", damaged), str(tar))


def test_a_flipped_bit_is_named(damaged: Path) -> None:
    shard = next(
        path
        for path in (damaged / "episodes.zarr" / "observations" / "image").rglob("0")
        if path.is_file()
    )
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert_one_sentence(parrot("verify", damaged), str(shard))


def test_an_altered_manifest_is_named(damaged: Path) -> None:
    path = damaged / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["num_episodes"] += 1
    path.write_text(json.dumps(manifest))
    assert_one_sentence(parrot("info", damaged), str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "--set", "generate.num_episode=3"), ("generate.num_episode",)),
        (("generate", "--set", "generate.num_episodes=few"), ("generate.num_episodes", "integer")),
        (("generate", "--params", "absent.yaml"), ("absent.yaml",)),
        (("filter", "--episodes", "absent"), ("absent",)),
        (("shard", "--episodes", "absent", "--kept", "absent"), ("absent",)),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    named = () if "--params" in arguments else ("--params", ROOT / "params.yaml")
    assert_one_sentence(parrot(*arguments, "--out", tmp_path / "out", *named), *words)
    assert not (tmp_path / "out").exists()


def test_tasks_are_those_of_the_world_in_params() -> None:
    shown = parrot("tasks", "--params", ROOT / "params.yaml")
    assert shown.exit_code == 0, shown.output
    assert "place-can-in-pan" in shown.output
    assert "parrot/PickBar-v0" in shown.output
    world = ("--set", "environment={name: 'tests.toy_world:make_world', kwargs: {}}")
    shown = parrot("tasks", "--params", ROOT / "params.yaml", *world)
    assert shown.exit_code == 0, shown.output
    assert "reach-far" in shown.output
    measured = parrot("tasks", "--params", ROOT / "params.yaml", *world, "--measure", "2")
    assert_one_sentence(measured, "--measure 2", "tests.toy_world:make_world")


def test_info_of_nothing_is_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(parrot("info", tmp_path / "absent"), "absent")
    assert_one_sentence(parrot("info", tmp_path), str(tmp_path))


def test_ctrl_c_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("parrot_data.generate.generate", interrupt)
    result = with_params("generate", "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr.startswith("error: interrupted")


def test_a_defect_of_ours_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("parrot_data.generate.generate", fail)
    result = with_params("generate", "--out", tmp_path / "out")
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_told_before_any_work(tmp_path: Path, device: str) -> None:
    assert_one_sentence(parrot("evaluate", tmp_path, "--device", device), device)
    options = ("--data", tmp_path, "--out", tmp_path / "prior", "--device", device)
    assert_one_sentence(parrot("train-prior", *options), device)
    assert list(tmp_path.iterdir()) == []
