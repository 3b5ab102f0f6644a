"""What dvc.lock holds of stages that are no more is dropped; the rest and all folders stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cli.prune import prune
from parrot_data.errors import UserError

ROOT = Path(__file__).parents[2]
RUNS = {
    "matrix": {"task": "${tasks}", "seed": "${seeds}"},
    "cmd": "run ${item.task} ${item.seed}",
    "outs": ["runs/${item.task}/${item.seed}"],
}
PIPELINE = {"stages": {"one": {"cmd": "one", "outs": ["data/one"]}, "run": RUNS}}


def make_repository(folder: Path) -> Path:
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    return folder


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return make_repository(tmp_path / "repository")


@pytest.fixture
def pruned(repository: Path) -> Path:
    """A pipeline of two runs, with the lock and the folders of a third."""
    (repository / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE, sort_keys=False))
    (repository / "params.yaml").write_text("tasks: [a]\nseeds: ['0', '1']\n")
    entries = "".join(lock_entry(name) for name in ("one", "run@a-0", "run@a-2", "run@a-1"))
    (repository / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{entries}")
    for name in ("data/one", "runs/a/0", "runs/a/2", "runs/a/3.partial", "data/mine"):
        (repository / name).mkdir(parents=True)
        (repository / name / "file.txt").write_text(name)
    return repository


def lock_entry(name: str) -> str:
    path = name.replace("run@", "runs/").replace("-", "/")
    return f"  {name}:\n    cmd: {name}\n    outs:\n    - path: {path}\n      hash: md5\n"


def test_only_entries_of_stages_stay_and_these_to_the_byte(pruned: Path) -> None:
    before = (pruned / "dvc.lock").read_text()
    assert prune(pruned).stages == ["run@a-2"]
    assert (pruned / "dvc.lock").read_text() == before.replace(lock_entry("run@a-2"), "")
    assert prune(pruned).stages == []


def test_no_folder_is_removed_and_the_left_over_ones_are_named(pruned: Path) -> None:
    files = sorted(pruned.rglob("file.txt"))
    for _ in range(2):  # with its entry in dvc.lock, and without
        assert prune(pruned).left_over == [Path("runs/a/2")]
    assert sorted(pruned.rglob("file.txt")) == files


def test_a_pipeline_that_never_ran_has_nothing_to_drop(pruned: Path) -> None:
    (pruned / "dvc.lock").unlink()
    assert prune(pruned).stages == []
    assert not (pruned / "dvc.lock").exists()


def test_a_folder_outside_any_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        prune(tmp_path)


def test_a_broken_pipeline_is_refused(pruned: Path) -> None:
    (pruned / "dvc.yaml").write_text("stages: [one]\n")
    with pytest.raises(UserError, match="cannot read the pipelines"):
        prune(pruned)


def test_our_own_lock_holds_stages_alone(repository: Path) -> None:
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, repository / name)
    assert prune(repository).stages == [], "run `make prune` and commit dvc.lock"
