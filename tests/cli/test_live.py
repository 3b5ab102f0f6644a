"""Live curves: what TensorBoard reads, and that no trouble with them reaches a training."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import cli.live
from cli.live import live_curves, place_of
from parrot_data.errors import UserError
from parrot_data.progress import Scalars
from tests.event_files import points_of, runs_in

OUT = Path("models/prior")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def follow(scalars: Scalars, phase: str, begins_at: int, steps: range, level: float) -> None:
    scalars(phase, begins_at, {})
    for step in steps:
        scalars(phase, step, {"loss": level + step})


def losses(run: str) -> list[tuple[int, float]]:
    points = points_of(Path("logs") / run)
    (tag,) = (tag for tag in points if tag.endswith("/loss"))
    return points[tag]


def test_what_is_told_is_what_tensorboard_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 100, 2))
    rate = cli.live.Rate
    monkeypatch.setattr(cli.live, "Rate", lambda: rate(lambda: float(next(seconds))))
    with live_curves("logs", OUT) as scalars:
        scalars("flow", 0, {})
        scalars("flow", 10, {"loss": 0.5, "validation": -1.0})
        assert points_of(Path("logs/models/prior/flow"))["flow/loss"] == [(10, 0.5)]  # at once
        scalars("flow", 20, {"loss": 0.25})
    assert points_of(Path("logs/models/prior/flow")) == {
        "flow/loss": [(10, 0.5), (20, 0.25)],
        "flow/validation": [(10, -1.0)],
        "flow/steps_per_second": [(10, 5.0), (20, 5.0)],
    }


def test_nothing_is_written_before_there_is_a_value(here: Path) -> None:
    with live_curves("logs", OUT) as scalars:
        scalars("flow", 0, {})
    with live_curves("", OUT) as scalars:
        follow(scalars, "flow", 0, range(1, 3), 0.0)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("killed_after", [5, 7, 9])
def test_a_training_that_is_gone_on_with_has_no_step_twice(killed_after: int) -> None:
    with live_curves("logs", OUT) as scalars:
        follow(scalars, "keypoints", 0, range(1, 9), 0.0)
        follow(scalars, "flow", 0, range(1, killed_after + 1), 0.0)
    with live_curves("logs", OUT) as scalars:  # from the last checkpoint
        follow(scalars, "keypoints", 8, range(0), 0.0)
        follow(scalars, "flow", 5, range(6, 11), 100.0)
    assert runs_in(Path("logs")) == ["models/prior/flow", "models/prior/keypoints"]
    assert losses("models/prior/keypoints") == [(step, step) for step in range(1, 9)]
    first, second = range(1, 6), range(6, 11)
    expected = [*((step, step) for step in first), *((step, 100.0 + step) for step in second)]
    assert losses("models/prior/flow") == expected


def test_a_training_that_is_begun_afresh_stands_beside_the_one_before() -> None:
    for level in (0.0, 10.0, 20.0):
        with live_curves("logs", OUT) as scalars:
            follow(scalars, "keypoints", 0, range(1, 3), level)
            follow(scalars, "flow", 0, range(1, 3), level)
    with live_curves("logs", OUT) as scalars:  # the last one goes on
        follow(scalars, "keypoints", 2, range(0), 20.0)
        follow(scalars, "flow", 2, range(3, 5), 20.0)
    runs = [f"models/prior/{phase}{n}" for phase in ("flow", "keypoints") for n in ("", "-2", "-3")]
    assert runs_in(Path("logs")) == runs
    assert losses("models/prior/flow") == [(1, 1.0), (2, 2.0)]
    assert losses("models/prior/flow-2") == [(1, 11.0), (2, 12.0)]
    assert losses("models/prior/flow-3") == [(1, 21.0), (2, 22.0), (3, 23.0), (4, 24.0)]


def test_files_of_others_are_neither_counted_nor_changed() -> None:
    theirs = Path("logs/models/prior/flow-7/events.out.tfevents.0000000001.host")
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with live_curves("logs", OUT) as scalars:
        follow(scalars, "flow", 0, range(1, 3), 0.0)
    assert losses("models/prior/flow") == [(1, 1.0), (2, 2.0)]
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("out", "place"),
    [
        ("models/prior", "models/prior"),
        ("./models/../models/prior/", "models/prior"),
        ("../elsewhere/run", None),
        ("/srv/run", "srv/run"),
        ("/", "."),
    ],
)
def test_events_lie_below_the_logs_whatever_the_output_is_called(
    here: Path, out: str, place: str | None
) -> None:
    found = place_of(Path(out))
    assert not found.is_absolute()
    assert ".." not in found.parts
    wanted = here.parent / "elsewhere/run" if place is None else Path(place)
    assert found == (wanted.relative_to("/") if place is None else wanted)
    assert place_of(here / "models" / "prior") == OUT


@pytest.mark.parametrize("logs", ["models/prior", "models/prior/logs", "./models/../models/prior"])
def test_logs_in_the_output_are_refused(logs: str) -> None:
    with pytest.raises(UserError, match="--logs"), live_curves(logs, OUT):
        pytest.fail("it began")


def a_file_in_place_of_the_logs(_monkeypatch: pytest.MonkeyPatch) -> None:
    Path("logs").write_text("mine")


def a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    opened = full.open("wb", buffering=0)
    monkeypatch.setattr(Path, "open", lambda *_, **__: opened)


def a_read_only_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # the tests may run as root, who may write anywhere


@pytest.mark.parametrize(
    "harm", [a_file_in_place_of_the_logs, a_full_disk, a_read_only_folder], ids=lambda f: f.__name__
)
def test_logs_that_cannot_be_written_cost_one_sentence(
    harm: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        harm(patch)
        with live_curves("logs", OUT) as scalars:
            follow(scalars, "keypoints", 0, range(1, 5), 0.0)
            follow(scalars, "flow", 0, range(1, 5), 0.0)
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(
        r"warning: live curves cannot be written to logs/models/prior \([^)]+\): the training goes "
        r"on without them\n",
        said.err,
    )


def test_a_disk_that_fills_up_costs_no_more_than_what_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with live_curves("logs", OUT) as scalars:
        follow(scalars, "flow", 0, range(1, 4), 0.0)
        add = cli.live._EventFile.add

        def fail(file: cli.live._EventFile, step: int, values: Mapping[str, float]) -> None:
            if step > 4:
                raise OSError(28, "No space left on device")
            add(file, step, values)

        monkeypatch.setattr(cli.live._EventFile, "add", fail)
        for step in range(4, 9):
            scalars("flow", step, {"loss": float(step)})
    assert losses("models/prior/flow") == [(step, step) for step in range(1, 5)]
    assert capsys.readouterr().err.count("No space left on device") == 1
