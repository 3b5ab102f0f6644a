"""Work outlives its log; what the operating system refuses is one sentence."""

from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[2]
SMALL = ("generate.num_episodes=2", "generate.episodes_per_file=1", "generate.tasks.place=0")


def generate(out: Path) -> list[str]:
    overrides = [part for value in SMALL for part in ("--set", value)]
    params = ["--params", str(ROOT / "params.yaml")]
    return ["generate", "--out", str(out), "--workers", "1", *params, *overrides]


def in_shell(out: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'"$0" -c "from cli.main import app; app()" "$@" {redirection}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, *generate(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "redirection",
    [
        "2>/dev/null >/dev/full",
        "2>/dev/full >/dev/full",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        "2>&1 | (exec <&-; sleep 1)",
    ],
)
def test_work_outlives_its_log(tmp_path: Path, redirection: str) -> None:
    done = in_shell(tmp_path / "out", redirection)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "manifest.json").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert CliRunner().invoke(app, ["verify", str(tmp_path / "out")]).exit_code == 0


def test_a_product_that_cannot_be_printed_is_an_error() -> None:
    command = f'{sys.executable} -c "from cli.main import app; app()" matrix > /dev/full'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: standard output: No space left on device")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_is_one_sentence_and_what_was_made_is_kept(
    tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    arguments = generate(tmp_path / "out")
    arguments[arguments.index("--workers") + 1] = workers
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        done = CliRunner().invoke(app, arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.exit_code == 1, done.output
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert str(tmp_path / "out.partial") in said[0]
    assert "File too large" in said[0]
    assert CliRunner().invoke(app, arguments).exit_code == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_what_the_system_refuses_anywhere_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/the/path")

    monkeypatch.setattr("parrot_data.generate.generate", fail)
    done = CliRunner().invoke(app, generate(tmp_path / "out"))
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 1
    assert f"error: /the/path: {os.strerror(number)}; " in done.stderr
    assert "Traceback" not in done.output


def test_what_a_stage_notes_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def note(*_: object, **__: object) -> dict[str, object]:
        logging.getLogger("parrot_data.stores").warning("work is set aside as %s", "x")
        return {}

    monkeypatch.setattr("parrot_data.generate.generate", note)
    done = CliRunner().invoke(app, generate(tmp_path / "out"))
    assert done.stderr.count("note: work is set aside as x\n") == 1
