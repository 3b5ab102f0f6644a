"""Bad command lines: each is one sentence, says what to do, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[2]
PARAMS = str(ROOT / "params.yaml")
LONG = "x" * 300
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 10}]\n" for i in range(1, 9))
FILES = {
    "afile": b"x",
    "empty.yaml": b"",
    "binary.yaml": bytes(range(256)),
    "zero.yaml": b"generate: \0\n",
    "laughs.yaml": LAUGHS.encode(),
    "itself.yaml": b"generate: &a {seed: *a}\n",
    "deep.yaml": b"generate: " + b"[" * 3000,
    "list.yaml": b"- 1\n",
    "listkey.yaml": b"generate: {[1]: 2}\n",
    "mapkey.yaml": b"{a: 1}: 2\n",
    "intkey.yaml": b"1: {seed: 2}\n",
    "datekey.yaml": b"generate: {2020-01-01: 2}\n",
    "nodate.yaml": b"generate: {seed: 2024-99-99}\n",
    "python.yaml": b"generate: !!python/object/apply:os.getcwd []\n",
    "two.yaml": b"generate: {}\n---\nfilter: {}\n",
    "noalias.yaml": b"generate: *nothing\n",
    "merge.yaml": b"generate:\n  <<: [1, 2]\n",
    "large.yaml": b"#" * 1_100_000,
    "extendslist.yaml": b"extends: [1]\n",
    "extendsfolder.yaml": b"extends: adir\n",
    "extendslong.yaml": b"extends: " + LONG.encode() + b"\n",
    "one.yaml": b"generate: {seed: 0}\n",
}
VALUES = [
    ("environment.demonstrations.action_noise=.inf", "environment.demonstrations.action_noise"),
    ("environment.demonstrations.action_noise=.nan", "environment.demonstrations.action_noise"),
    ("generate.tasks={pick: .nan}", "generate.tasks.pick"),
    ("generate.seed=99999999999999999999999", "generate.seed"),
    ("generate.seed=9223372036854775808", "generate.seed"),
    ("generate.seed=-1", "generate.seed"),
    ("generate.seed=2024-01-01", "generate.seed"),
    ("generate.seed={[1]: 2}", "generate.seed"),
    ("generate.seed={1: 2}", "generate.seed"),
    ("generate.seed=*x", "generate.seed"),
    ("generate.seed=&a [*a]", "generate.seed"),
    ("generate.seed=!!binary aGk=", "generate.seed"),
    ("generate.seed=!!set {a}", "generate.seed"),
    ("generate.seed=", "generate.seed"),
    ("generate.seed=\0", "generate.seed"),
    ("generate.seed=" + "[" * 3000, "generate.seed"),
    ("generate.num_episodes=9223372036854775807", "generate.num_episodes"),
    ("environment.demonstrations.num_objects=[3, 2]", "num_objects"),
    ("generate.tasks={pikc: 1.0}", "pikc"),
    ("généré.seed=1", "généré"),
    ("=3", "section.key=value"),
    ("", "section.key=value"),
    (".=", "names no key"),
    ("generate..seed=1", "names no key"),
    ("extends.x=1", "names no key"),
    ("environment.image_size=100000", "environment.image_size"),
    ("shard.chunks_per_shard=0", "shard.chunks_per_shard"),
    ("filter.tasks=[drawer]", "filter.tasks"),
    ("keypoints.batch_size=1", "keypoints.batch_size"),
    ("train_prior.flow=spiline", "train_prior.flow"),
    ("train_prior.flows.affine.hidden=[1000000000000]", "train_prior.flows.affine.hidden"),
    ("pretrain.vae.beta=-.inf", "pretrain.vae.beta"),
    ("finetune.seeds=[0]", 'write "0" in quotes'),
    ("finetune.seeds=['-1']", "finetune.seeds"),
    ("finetune.seeds=['a']", "finetune.seeds"),
    ("finetune.seeds=['01']", "finetune.seeds"),
    ("finetune.seeds=['99999999999999999999999']", "finetune.seeds"),
    ("finetune.seeds=['0', '0']", "finetune.seeds"),
    ("finetune.methods=[parot]", "parot"),
    ("finetune.methods=[bc_sac]", "bc_sac needs 'bc'"),
    ("finetune.tasks=[pick-nothing]", "pick-nothing"),
    (f"finetune.tasks=[{LONG}]", "finetune.tasks"),
    ("finetune.parts=[bcc]", "bcc"),
    ("finetune.flows=[affine]", "affine"),
    ("finetune.env_steps=1000", "the actor would never learn"),
    ("finetune.replay_capacity=10000000000000", "finetune.replay_capacity"),
    ("finetune.num_envs=100000", "finetune.num_envs"),
    ("finetune.agent.encoder=foveal", "finetune.agent.encoder"),
    ("evaluate.seed=-1", "evaluate.seed"),
    ("film.frame_ms=33", "film.frame_ms"),
    ("film.height=100000", "film.height"),
    ("explore.latent_bounds=[.inf]", "explore.latent_bounds"),
    ("audit.latent_bounds=[2.0, 1.0]", "audit.latent_bounds"),
    ("report.bootstrap_draws=1", "report.bootstrap_draws"),
]
PARAMS_FILES = [*(name for name in FILES if name != "afile"), "adir", "/dev/zero", LONG, "a\0b"]
FINETUNE = ("finetune", "--out", "new")
ARGUMENTS = [
    (("generate", "--out", LONG), "300 bytes"),
    (("generate", "--out", f"adir/{LONG}"), "300 bytes"),
    (("generate", "--out", "é" * 130), "260 bytes"),
    (("generate", "--out", "x" * 250), "250 bytes"),  # no room for what unfinished work adds
    (("generate", "--out", "/" + "a/" * 3000), "too long"),
    (("generate", "--out", "afile"), "afile is a file"),
    (("generate", "--out", "afile/x"), "afile is a file"),
    (("generate", "--out", "a\0b"), "--out"),
    (("generate", "--out", "/dev/null"), "is a file"),
    (("generate", "--out", "new", "--workers", "99999999999"), "--workers"),
    (("generate", "--out", "new", "--workers", "0"), "--workers"),
    (("generate", "--out", "new", "--workers", "1.5"), "--workers"),
    (("filter", "--episodes", "afile", "--out", "new"), "afile is a file"),
    (("filter", "--episodes", LONG, "--out", "new"), "300 bytes"),
    (("shard", "--episodes", "adir", "--kept", "afile", "--out", "new"), "afile is a file"),
    (("train-prior", "--data", "afile", "--out", "new"), "afile is a file"),
    (("train-prior", "--data", "adir", "--out", "new"), "manifest.json is missing"),
    (("train-prior", "--data", "adir", "--out", "new", "--threads", "99999999999"), "--threads"),
    (("train-prior", "--data", "adir", "--out", "new", "--device", "cuda:9999999999"), "cuda:"),
    (("pretrain", "--method", LONG, "--data", "adir", "--out", "new"), "no method"),
    (("pretrain", "--method", "bc", "--data", "afile/x", "--out", "new"), "afile is a file"),
    ((*FINETUNE, "--task", LONG, "--method", "sac", "--seed", "0"), "no task"),
    ((*FINETUNE, "--task", "pick-cup", "--method", LONG, "--seed", "0"), "no method"),
    ((*FINETUNE, "--task", "pick-cup", "--method", "sac", "--seed", "-1"), "--seed"),
    ((*FINETUNE, "--task", "pick-cup", "--method", "sac", "--seed", "9" * 20), "--seed"),
    ((*FINETUNE, "--task", "pick-cup", "--method", "sac", "--seed", "x"), "--seed"),
    (
        (*FINETUNE, "--task", "pick-cup", "--method", "sac", "--seed", "0", "--prior", "afile"),
        "afile is a file",
    ),
    (("evaluate", "afile"), "afile is a file"),
    (("evaluate", LONG), "300 bytes"),
    (("evaluate", "one", "two"), "unexpected"),
    (("film", "afile", "--out", "new.gif"), "afile is a file"),
    (("film", "adir", "--out", "new.gif"), "config.json is missing"),
    (("film", "adir", "--out", "new.png"), "let it end in .gif"),
    (("film", "adir", "--out", "absent/new.gif"), "absent is no folder"),
    (("film", "adir", "--out", "new.gif", "--device", "tpu"), "tpu"),
    (("report", "--out", "new", "--runs", "afile"), "afile is a file"),
    (("report", "--out", "new", "--audited", "afile"), "afile is a file"),
    (("explore", "--prior", "adir", "--bc", "afile", "--out", "new"), "afile is a file"),
    (("audit", "afile", "--data", "adir"), "afile is a file"),
    (("audit", "adir", "--data", "adir", "--out", "afile"), "afile is a file"),
    (("audit", "adir", "--data", "adir"), "config.json is missing"),
    (("report-study", LONG, "--out", "new"), "study"),
    (("matrix", "extra"), "unexpected"),
    (("generate", "--out", "new", "--ray", "auto", "--workers", "2"), "leave one away"),
    (("generate", "--out", "new", "--ray", "auto", "--cpus", "nan"), "--cpus"),
    (("generate", "--out", "new", "--ray", "auto", "--cpus", "-1"), "--cpus"),
    (("generate", "--out", "new", "--cpus", "2"), "name one with --ray"),
    (("sweep", "--ray", "auto", "--jobs", "2"), "leave one away"),
    (("sweep", "--gpus", "1"), "name one with --ray"),
    (("sweep", "--jobs", "0"), "--jobs"),
    (("sweep", "--runs", "afile"), "afile is a file"),
]
WITHOUT_PARAMS = [
    (("parts", "--out", "adir"), "adir is a folder"),
    (("parts", "--out", "afile/x"), "afile is a file"),
    (("parts", "--out", "absent/parts.json"), "absent is no folder"),
    (("parts", "--out", LONG), "300 bytes"),
    (("parts", "--out", "new.json", "--models", "afile"), "afile is a file"),
    (("contact-sheet", "--out", "a.xyz"), "a.xyz is no name of an image"),
    (("contact-sheet", "--out", "a"), "is no name of an image"),
    (("contact-sheet", "--out", "absent/a.png"), "absent is no folder"),
    (("measure-objects", "--out", "adir"), "adir is a folder"),
    (("measure-objects", "--out", "a.json", "--trials", "0"), "--trials"),
    (("tasks", "--measure", "9" * 20), "--measure"),
    (("info", LONG), "300 bytes"),
    (("info", "afile/x"), "afile is a file"),
    (("info", "a\0b"), "PATH"),
    (("verify", "afile"), "afile is a file"),
    (("verify", LONG), "300 bytes"),
    (("nope",), "nope"),
    (("--nope",), "--nope"),
    (("generate",), "--out"),
    (("generate", "--out"), "--out"),
    (("gènérate",), "gènérate"),
    (("",), "no such command"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adir").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def assert_one_sentence(folder: Path, *arguments: str) -> str:
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (1, 2)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert sorted(folder.rglob("*")) == before
    return done.stderr


@pytest.mark.parametrize(("override", "words"), VALUES)
def test_a_bad_value_is_refused_by_the_first_stage(folder: Path, override: str, words: str) -> None:
    options = ("--params", PARAMS, "--out", "new", "--set", override)
    assert words in assert_one_sentence(folder, "generate", *options)


@pytest.mark.parametrize("name", PARAMS_FILES)
def test_a_bad_params_file_is_named(folder: Path, name: str) -> None:
    said = assert_one_sentence(folder, "generate", "--params", name, "--out", "new")
    assert name[:20] in said or "--params" in said or "adir" in said or "name another" in said


@pytest.mark.parametrize(("arguments", "words"), ARGUMENTS)
def test_a_bad_argument_is_named(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in assert_one_sentence(folder, *arguments, "--params", PARAMS)


@pytest.mark.parametrize(("arguments", "words"), WITHOUT_PARAMS)
def test_a_bad_argument_of_a_tool_is_named(
    folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in assert_one_sentence(folder, *arguments)


def test_threads_beyond_any_machine_are_refused_in_the_environment_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "99999999999")
    options = ("--data", "adir", "--out", "new", "--params", PARAMS)
    assert "OMP_NUM_THREADS" in assert_one_sentence(folder, "train-prior", *options)


@pytest.mark.parametrize(
    "arguments", [("tasks", "--params", str(PARAMS), "--measure", "1"), ("--help",), ("info", "é")]
)
def test_a_terminal_of_ascii_is_enough(
    folder: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tasks` measures nothing here: its table is what has lines."""
    code = (
        "import parrot_data.worlds.tabletop.library.measure_tasks as m; "
        "from parrot_data.worlds.tabletop.tasks import TASKS; from types import SimpleNamespace; "
        "m.measure_tasks = lambda *_: "
        "[SimpleNamespace(task=task, success_rate=1.0) for task in TASKS.values()]; "
        "from cli.main import app; app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONIOENCODING": "ascii",
            "PYTHONUTF8": "0",
        },
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == (1 if arguments[0] == "info" else 0), done.stderr
    assert b"Traceback" not in done.stderr
