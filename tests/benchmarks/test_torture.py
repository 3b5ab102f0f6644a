"""What counts as survived is judged rightly, and every attack, briefly made, is survived."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.torture import flips, torture
from benchmarks.torture.commands import Done
from benchmarks.torture.ground import Ground, MissedError, digests_of, unfinished
from benchmarks.torture.page import reliability_page
from benchmarks.torture.stages import DATA_STAGES, FILTER, GENERATE, STAGES, TINY, made_tiny
from benchmarks.torture.torture import KINDS, mixed, planned
from benchmarks.torture.trial import BRIEF, FULL, Outcome, Plan, Trial
from benchmarks.torture.verdicts import (
    Beaten,
    must_be_same,
    must_be_untouched,
    must_refuse,
    must_succeed,
)
from cli.main import app
from parrot_data.errors import UserError

ROOT = Path(__file__).parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
TRACEBACK = "Traceback (most recent call last):\n  File\nValueError: no\n"


def no_attack(ground: Ground, random: Random) -> None:
    """Does nothing."""


def trial(attack: str = "none", number: int = 0) -> Trial:
    return Trial("kills", attack, "generate", number, no_attack)


def test_every_attack_is_survived_briefly(tmp_path: Path) -> None:
    """The gate: what is survived once stays so. The command's page names what was not."""
    line = ["torture", "--brief", "--out", str(tmp_path), "--params", str(ROOT / "params.yaml")]
    done = CliRunner().invoke(app, line)
    page = (tmp_path / "reliability.md").read_text()
    assert done.exit_code == 0, page.split("## What was not survived")[1]


def test_one_sentence_is_a_refusal() -> None:
    must_refuse(Done(1, "", "filter 0/24\nerror: a is a file: move it away.\n"), "a is")
    must_refuse(Done(2, "", "Usage: parrot filter\n\nNo such option: --x\n"))


@pytest.mark.parametrize(
    "done",
    [
        Done(0, "", "error: no.\n"),
        Done(None, "", "error: no.\n"),
        Done(-9, "", "error: no.\n"),
        Done(1, "", ""),
        Done(1, "", "Aborted.\n"),
        Done(1, "", TRACEBACK),
        Done(1, "", f"{TRACEBACK}error: no.\n"),
        Done(1, "", "error: no.\nerror: no.\n"),
        Done(1, "", "error: no.\nand more\n"),
        Done(1, "", "error: not that cause.\n"),
    ],
    ids=str,
)
def test_anything_else_is_none(done: Done) -> None:
    with pytest.raises(Beaten):
        must_refuse(done, r"no\.|more")


@pytest.mark.parametrize("done", [Done(1, "", ""), Done(None, "", ""), Done(0, "", TRACEBACK)])
def test_a_failure_is_no_success(done: Done) -> None:
    with pytest.raises(Beaten):
        must_succeed(done)


@pytest.mark.parametrize(
    "found", [{"a": "1"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2", "c": "3"}]
)
def test_files_are_the_same_or_not(found: dict[str, str]) -> None:
    wanted = {"a": "1", "b": "2"}
    must_be_same(dict(wanted), wanted, "them")
    with pytest.raises(Beaten, match="them"):
        must_be_same(found, wanted, "them")


def test_a_failure_says_nothing_of_the_machines_pace() -> None:
    err = "error: no.\ngenerate 24/24, 4.7/s, 0:00:00 left, episodes\n"
    assert str(Done(1, "", err)) == "exit 1, error: no."


def test_every_kind_attacks_and_every_stage_is_killed() -> None:
    trials = planned(FULL)
    assert {one.kind for one in trials} == {kind.KIND for kind in KINDS}
    assert {one.target for one in trials if one.kind == "kills"} == {one.name for one in STAGES}
    with pytest.raises(UserError, match="'sneezes'"):
        planned(FULL, ["sneezes"])


def test_trials_differ_in_their_random_numbers_alone_by_what_they_are() -> None:
    trials = planned(FULL)
    assert len({one.random(0).random() for one in trials}) == len(trials)
    assert trial().random(0).random() == trial().random(0).random()
    assert trial().random(0).random() != trial().random(1).random()


def test_the_brief_form_makes_every_attack_on_data() -> None:
    trials, of_data = planned(BRIEF), planned(Plan(DATA_STAGES, most=1, every=1))
    assert {(one.kind, one.attack) for one in trials} == {(one.kind, one.attack) for one in of_data}
    assert len(trials) < len(of_data) / 2


def test_a_beginning_of_the_trials_has_its_share_of_every_kind() -> None:
    trials = planned(FULL)
    half = Counter(one.kind for one in mixed(trials)[: len(trials) // 2])
    for kind, count in Counter(one.kind for one in trials).items():
        assert abs(half[kind] - count / 2) <= 1


def test_a_page_counts_and_names_what_failed() -> None:
    outcomes = [
        Outcome(trial("a"), ""),
        Outcome(trial("a", 1), "bad | worse\n"),
        Outcome(trial("b"), ""),
    ]
    page = reliability_page(outcomes, {"kills": "nothing is lost"}, "make torture", 2)
    assert "| kills | a | 2 | 1 |\n| kills | b | 1 | 1 |\n| all |  | 3 | 2 |" in page
    assert "- kills: a: 'generate', number 1: bad \\| worse" in page
    assert "Of 5 trials 2 are not counted" in page
    assert "every attack was survived" in reliability_page(outcomes[:1], {}, "make torture", 0)


def test_an_attack_that_missed_is_not_counted(tmp_path: Path) -> None:
    def miss(ground: Ground, random: Random) -> None:
        raise MissedError

    assert torture.made(replace(trial(), make=miss), ground_of(tmp_path), 0) == []


def test_no_time_makes_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ground, "prepare", lambda ground, progress: None)
    made = torture.torture(PARAMS, tmp_path, BRIEF, minutes=0, seed=0, command="it")
    assert made == []
    assert f"{len(planned(BRIEF))} are not counted" in (tmp_path / "reliability.md").read_text()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(
    which: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Ground, "prepare", lambda ground, progress: signal.raise_signal(which))
    # Under `nohup` it is ignored, and that is respected
    before = signal.signal(which, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            torture.torture(PARAMS, tmp_path / "out", BRIEF, minutes=1, seed=0, command="it")
        assert list(tmp_path.iterdir()) == []
        assert signal.getsignal(which) is signal.SIG_DFL
    finally:
        signal.signal(which, before)


def test_tiny_values_are_of_params() -> None:
    made = made_tiny(PARAMS)
    assert made["pretrain"]["bc"]["steps"] == TINY["pretrain"]["bc"]["steps"]
    with pytest.raises(UserError, match="no key train_prior"):
        made_tiny({"generate": PARAMS["generate"]}, {"train_prior": {}})


def ground_of(folder: Path) -> Ground:
    """One with a file for every clean output, made by nothing."""
    ground = Ground(folder, PARAMS, DATA_STAGES)
    for stage in DATA_STAGES:
        out = ground.clean.folder / stage.out
        out.mkdir(parents=True)
        (out / "file").write_text(stage.name)
    return ground


def test_a_room_is_a_copy_and_goes(tmp_path: Path) -> None:
    ground = ground_of(tmp_path)
    with ground.room(*FILTER.inputs) as room:
        assert set(digests_of(room.folder)) == {"params.yaml", "data/episodes/file"}
        before = digests_of(room.folder)
        must_be_untouched(room, before)
        flips.flip(room.folder / GENERATE.out, Random(0))
        with pytest.raises(Beaten, match="other bytes: data/episodes/file"):
            must_be_untouched(room, before)
        shutil.copytree(room.folder / GENERATE.out, room.folder / f"{GENERATE.out}.partial")
        assert unfinished(room.folder / GENERATE.out).is_dir()
    assert not room.folder.exists()
    assert (ground.clean.folder / GENERATE.out / "file").read_text() == "generate"


@pytest.mark.parametrize("damage", [flips.flip, flips.cut])
def test_damage_changes_one_file_of_all(
    damage: Callable[[Path, Random], str], tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / name).write_text("some text")
    before = digests_of(tmp_path)
    name = damage(tmp_path, Random(0))
    changed = {key for key, value in digests_of(tmp_path).items() if value != before[key]}
    assert changed == {name}
