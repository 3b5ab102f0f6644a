"""PATH@REV: a dataset of another revision is read from DVC's cache or remote, and no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from comparison.compared import mirrored
from stores.small_dataset import write_datasets
from synthetic import files_of, synthetic_episodes, write_raw

from parrot_data.diff import diff
from parrot_data.errors import UserError

# In one process: the repository is made once
pytestmark = pytest.mark.xdist_group("revisions")

FETCH = "run `dvc fetch --all-commits data/episodes`"


class Repository:
    """A git repository with DVC, and a remote of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache, self.remote = folder / ".dvc" / "cache", folder.with_name("remote")
        bin_folder = str(Path(sys.executable).parent)
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "DVC_SITE_CACHE_DIR": str(folder.with_name("site_cache")),
        }

    def call(self, command: str) -> None:
        done = subprocess.run(
            command.split(), cwd=self.folder, env=self._environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def begin(self) -> None:
        self.folder.mkdir()
        self.begin_git()
        self.call("dvc init --quiet")
        self.call("dvc config core.analytics false")
        self.call("dvc config core.autostage true")

    def begin_git(self) -> None:
        self.call("git init --quiet")
        self.call("git config user.name tester")
        self.call("git config user.email tester@localhost")

    def commit(self, name: str, *outputs: str) -> None:
        self.call(f"dvc add --quiet {' '.join(outputs)}")
        self.call("git add --all")
        self.call(f"git commit --quiet --message {name}")
        self.call(f"git tag {name}")

    def seen(self) -> dict[str, bytes]:
        """Every file of the workspace but git's own."""
        return {k: v for k, v in files_of(self.folder).items() if not k.startswith(".git/")}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 episodes, then the same and 4 more; not to be changed. What lies there is a third."""
    repository = Repository(tmp_path_factory.mktemp("revisions") / "repository")
    repository.begin()
    outputs = ("data/episodes", "data/shards")
    for name, count in (("first", 8), ("second", 12)):
        shutil.rmtree(repository.folder / "data", ignore_errors=True)
        write_datasets(repository.folder / "data", count)
        repository.commit(name, *outputs)
    shutil.rmtree(repository.folder / "data" / "episodes")
    write_raw(repository.folder / "data" / "episodes", synthetic_episodes(3))
    return repository.folder


@pytest.fixture
def repository(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    copy = Repository(shutil.copytree(committed, tmp_path / "repository", symlinks=True))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site_cache"))
    monkeypatch.chdir(copy.folder)
    return copy


@pytest.mark.parametrize("kind", ["episodes", "shards"])
@pytest.mark.parametrize(("old", "new"), [("HEAD~1", "HEAD"), ("first", "second")])
def test_two_revisions_differ_by_what_was_committed(
    repository: Repository, kind: str, old: str, new: str
) -> None:
    before = repository.seen()
    one, other = Path(f"data/{kind}@{old}"), Path(f"data/{kind}@{new}")
    found = diff(one, other)
    assert found.a.name == f"data/{kind}@{old}"
    assert len(found.episodes.removed) == len(found.episodes.changed) == 0
    assert found.episodes.num_common == found.a.num_episodes
    assert len(found.episodes.added) == found.b.num_episodes - found.a.num_episodes > 0
    assert found.columns  # of raw episodes, the arrays were streamed
    assert mirrored(found) == diff(other, one).as_json()
    assert repository.seen() == before


def test_a_revision_and_what_lies_there(repository: Repository) -> None:
    found = diff(Path("data/episodes@HEAD~1"), Path("data/episodes"))
    assert (found.a.num_episodes, found.b.num_episodes, found.episodes.num_common) == (8, 3, 3)
    assert diff(Path("data/episodes@HEAD@{0}"), Path("data/episodes")).a.num_episodes == 12


def test_a_path_may_lead_from_anywhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = diff(Path("data/shards@HEAD~1"), Path("data/shards")).as_json()
    monkeypatch.chdir(tmp_path)
    for folder in (repository.folder, Path("repository")):
        found = diff(folder / "data/shards@HEAD~1", folder / "data/shards").as_json()
        assert found["episodes"] == wanted["episodes"]
    (repository.folder / "elsewhere").mkdir()
    monkeypatch.chdir(repository.folder / "elsewhere")
    found = diff(Path("../data/shards@HEAD~1"), Path("../data/shards")).as_json()
    assert found["episodes"] == wanted["episodes"]


def test_what_the_cache_has_lost_comes_from_the_remote(repository: Repository) -> None:
    shutil.copytree(repository.cache, repository.remote)
    shutil.rmtree(repository.cache)
    repository.call(f"dvc remote add --quiet --default there {repository.remote}")
    before = repository.seen()
    assert diff(Path("data/episodes@first"), Path("data/episodes@second")).a.num_episodes == 8
    assert repository.seen() == before
    assert not repository.cache.exists()


def test_a_repository_of_dvc_may_lie_within_one_of_git(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And git may hold a dataset itself; here the cache has none, and a remote was named later."""
    outer = Repository(tmp_path / "outer")
    outer.folder.mkdir()
    outer.begin_git()
    (outer.folder / ".gitignore").write_text("site_cache/\n")  # DVC's own files come and go there
    inner = Repository(outer.folder / "inner")
    inner.folder.mkdir()
    inner.call("dvc init --quiet --subdir")
    shutil.copytree(committed / "data" / "shards", inner.folder / "shards")
    shutil.copytree(committed / "data" / "shards", inner.folder / "plain")
    inner.commit("all", "shards")
    shutil.copytree(inner.cache, tmp_path / "remote")
    shutil.rmtree(inner.cache)
    shutil.rmtree(inner.folder / "shards")
    inner.call(f"dvc remote add --quiet --default there {tmp_path / 'remote'}")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site_cache"))
    assert diff(inner.folder / "shards@all", inner.folder / "plain@HEAD").is_empty


@pytest.mark.parametrize("lost", ["lists", "files", "all"])
def test_what_nobody_has_is_one_sentence_that_says_fetch(repository: Repository, lost: str) -> None:
    for path in [path for path in repository.cache.rglob("*") if path.is_file()]:
        if lost == "all" or (path.suffix == ".dir") == (lost == "lists"):
            path.unlink()
    with pytest.raises(UserError, match=FETCH) as caught:
        diff(Path("data/episodes@first"), Path("data/episodes"))
    assert "\n" not in str(caught.value)


def test_what_of_a_dataset_is_not_needed_may_be_missing(repository: Repository) -> None:
    """Of shards, a manifest and the entries are all that is read."""
    folder = repository.folder / "data" / "shards"
    most = (folder / "manifest.json").stat().st_size + 1000
    large = [p for p in repository.cache.rglob("*") if p.is_file() and p.stat().st_size > most]
    assert large
    for path in large:
        path.unlink()
    assert diff(Path("data/shards@first"), Path("data/shards")).episodes.added


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("data/episodes@HEAD~9", "HEAD~9 is no revision of the git repository in"),
        ("data/episodes@no-such", "no-such is no revision"),
        ("data/absent@HEAD", "neither git nor DVC knows data/absent/manifest.json"),
        ("../data/absent@HEAD", "lies in no repository of DVC"),
        ("data/absent", "data/absent/manifest.json is missing"),
    ],
)
def test_what_is_not_there_is_one_sentence(repository: Repository, named: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        diff(Path(named), Path("data/episodes"))
    assert "\n" not in str(caught.value)


def test_a_repository_without_git_has_no_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site_cache"))
    with pytest.raises(UserError, match="data@HEAD") as caught:
        diff(tmp_path / "data@HEAD", tmp_path / "data@HEAD")
    assert "\n" not in str(caught.value)


def test_a_dataset_of_another_version_is_told_by_its_name(repository: Repository) -> None:
    path = repository.folder / "data" / "episodes" / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version": 4', '"schema_version": 3'))
    repository.commit("older", "data/episodes")
    with pytest.raises(UserError, match=r"^data/episodes@older/manifest.json has schema version 3"):
        diff(Path("data/episodes@older"), Path("data/episodes@first"))


def test_a_folder_of_that_very_name_is_meant_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raw(tmp_path / "episodes@HEAD", synthetic_episodes(2))
    monkeypatch.chdir(tmp_path)
    assert diff(Path("episodes@HEAD"), Path("episodes@HEAD")).is_empty
