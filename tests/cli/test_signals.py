"""What asks a command to end is answered by one sentence and the conventional exit code."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from parrot_data.interruption import ENDING, Interrupted

ROOT = Path(__file__).parents[2]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def answered() -> Iterator[None]:
    """A shell that runs the tests in the background has them ignore Ctrl-C."""
    before = {signum: signal.signal(signum, signal.default_int_handler) for signum in ENDING}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def generate_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Callable[[], None]], Result]:
    """Run `parrot generate` with a stage that does no more than it is told."""

    def run(stage: Callable[[], None]) -> Result:
        def stand_in(*_: object, **__: object) -> dict[str, object]:
            stage()
            return {}

        monkeypatch.setattr("parrot_data.generate.generate", stand_in)
        options = ("--out", str(tmp_path / "out"), "--params", str(ROOT / "params.yaml"))
        return CliRunner().invoke(app, ["generate", *options])

    return run


@pytest.mark.parametrize("signum", ENDING)
def test_every_signal_is_one_sentence_and_its_own_exit_code(generate_that, signum: int) -> None:
    handlers = [signal.getsignal(each) for each in ENDING]
    result = generate_that(lambda: signal.raise_signal(signum))
    assert result.exit_code == CODES[signal.Signals(signum)]
    assert result.stderr.splitlines() == [
        "error: interrupted: what was finished is kept, and the same command goes on from it"
    ]
    assert [signal.getsignal(each) for each in ENDING] == handlers


def test_a_training_says_where_it_goes_on(generate_that) -> None:
    def stage() -> None:
        raise Interrupted(signal.SIGTERM, "step 2,400 of 20,000")

    result = generate_that(stage)
    assert result.exit_code == 143
    assert result.stderr.splitlines() == [
        "error: interrupted at step 2,400 of 20,000: the same command goes on from there"
    ]


def test_under_nohup_a_hang_up_is_ignored(generate_that) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert generate_that(lambda: signal.raise_signal(signal.SIGHUP)).exit_code == 0


def test_what_a_stage_has_to_say_is_shown(generate_that) -> None:
    def stage() -> None:
        logging.getLogger("parrot_models.finetune").info("learning goes on from step %s", "2,400")

    result = generate_that(stage)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["note: learning goes on from step 2,400"]
    assert not logging.getLogger("parrot_models").handlers


def test_a_file_that_ends_too_early_is_no_quiet_abort(generate_that) -> None:
    def stage() -> None:
        raise EOFError

    result = generate_that(stage)
    assert isinstance(result.exception, RuntimeError)
    assert "Aborted" not in result.output
