"""No command writes over what it did not make: the issue's own inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from parrot_data.stores.publish import sha256_file
from parrot_models.training.transitions import store_transitions
from tests.parrot_data.synthetic import synthetic_episode, tabletop_like

ROOT = Path(__file__).parents[2]
SMALL = ("generate.num_episodes=6", "generate.episodes_per_file=3", "generate.tasks={pick: 1.0}")


def parrot(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and what was said on stderr."""
    overrides = [part for value in SMALL for part in ("--set", value)]
    params = ["--params", str(ROOT / "params.yaml")]
    done = CliRunner().invoke(app, [*map(str, arguments), *params, *overrides])
    assert "Traceback" not in done.output
    return done.exit_code, done.stderr


def content(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with episodes, the kept ones, and a folder of the user's."""
    folder = tmp_path_factory.mktemp("outputs") / "proj"
    assert parrot("generate", "--workers", "1", "--out", folder / "inp" / "episodes")[0] == 0
    episodes = ("--episodes", folder / "inp" / "episodes")
    assert parrot("filter", *episodes, "--out", folder / "kept")[0] == 0
    (folder / "mine" / "thesis").mkdir(parents=True)
    (folder / "mine" / "thesis" / "ch1.tex").write_text("precious")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "proj"))
    monkeypatch.chdir(tmp_path)
    return folder


COMMANDS = {
    "generate": ("generate", "--workers", "1"),
    "filter": ("filter", "--episodes", "proj/inp/episodes"),
    "shard": ("shard", "--episodes", "proj/inp/episodes", "--kept", "proj/kept"),
    "report": ("report", "--data", "d", "--kept", "k", "--prior", "p", "--runs", "r"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("proj/mine", "thesis/ch1.tex"),
        ("proj/mine/thesis", "ch1.tex"),
        ("proj", ""),
        ("proj/mine/thesis/ch1.tex", "is a file"),
        ("", "called in"),
        (".", "called in"),
        ("..", "called in"),
        ("/", "called in"),
    ],
)
def test_what_is_not_the_stages_own_is_refused_and_stays(
    project: Path, command: str, out: str, word: str
) -> None:
    before = content(project)
    status, said = parrot(*COMMANDS[command], "--out", out)
    assert status == 1
    assert said.count("error: ") == 1
    assert word in said
    assert content(project) == before
    assert not list(project.parent.rglob("*.partial"))


@pytest.mark.parametrize(
    ("command", "out", "how"),
    [
        ("filter", "proj/inp/episodes", "is the input"),
        ("filter", "proj/inp", "lies above"),
        ("filter", "proj/inp/episodes/kept", "lies in"),
        ("shard", "proj/kept", "is the input"),
        ("shard", "proj", "lies above"),
    ],
)
def test_an_input_is_never_the_output(project: Path, command: str, out: str, how: str) -> None:
    before = content(project)
    status, said = parrot(*COMMANDS[command], "--out", out)
    assert (status, how in said) == (1, True), said
    assert content(project) == before


def test_a_stage_replaces_its_own_output_and_no_other_stages(project: Path) -> None:
    before = content(project)
    assert parrot(*COMMANDS["filter"], "--out", "proj/kept")[0] == 0
    assert content(project) == before
    status, said = parrot(*COMMANDS["generate"], "--out", "proj/kept")
    assert (status, "kept.json" in said) == (1, True)
    assert content(project) == before


def test_two_at_once_leave_one_whole_result_and_one_sentence(tmp_path: Path, made: Path) -> None:
    overrides = [part for value in SMALL for part in ("--set", value)]
    command = [sys.executable, "-c", "from cli.main import app; app()"]
    command += ["generate", "--workers", "1", "--out", str(tmp_path / "rc"), *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    said = [process.communicate()[1].decode() for process in both]
    assert 0 in {process.returncode for process in both}
    for process, text in zip(both, said, strict=True):
        assert process.returncode == 0 or "is being worked on by `parrot generate`" in text
    assert content(tmp_path / "rc") == content(made / "inp" / "episodes")
    assert list(tmp_path.iterdir()) == [tmp_path / "rc"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte, mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_mount_point_is_published_in_place(project: Path, small_disk: Path) -> None:
    for _ in range(2):
        assert parrot(*COMMANDS["filter"], "--out", small_disk)[0] == 0
        assert content(small_disk) == content(project / "kept")


def test_a_full_disk_is_one_sentence_and_the_rest_is_kept(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    generate = ("generate", "--workers", "1", "--out", small_disk / "episodes")
    status, said = parrot(*generate)
    assert status == 1
    assert f"{small_disk / 'episodes.partial'}" in said
    assert "No space left on device" in said
    (small_disk / "ballast").unlink()
    assert parrot(*generate)[0] == 0


def test_a_cache_that_finds_no_room_is_told_and_a_number_alone_takes_none(small_disk: Path) -> None:
    large = synthetic_episode(0, spec=tabletop_like(256), num_steps=20)
    with pytest.raises(OSError, match=rf"No space left on device.*{small_disk}"):
        store_transitions(small_disk, tabletop_like(256), 20, [(0, large)])
    store_transitions(small_disk, tabletop_like(256), 10**12, [])


def test_a_read_only_disk_is_one_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    status, said = parrot(*COMMANDS["generate"], "--out", small_disk / "episodes")
    assert status == 1
    assert "Read-only file system" in said
    status, said = parrot(*COMMANDS["generate"], "--out", small_disk)
    assert (status, "Read-only file system" in said) == (1, True)
