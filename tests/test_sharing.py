"""README on sharing, by its own commands: what was pushed is pulled, whole or not at all."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT, TASK, Pipeline

# In one process: the pipeline runs once
pytestmark = pytest.mark.xdist_group("pipeline")

URL, REMOTE = "https://example.org/team/parrot.git", "/srv/parrot"
AGENT = f"runs/{TASK}/parrot/0/agent.safetensors"
UP_TO_DATE = "Data and pipelines are up to date."


def commands() -> list[str]:
    """The blocks of README's section: who shares, a teammate, another project."""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Sharing\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


class Team:
    """A git server, a DVC remote, and people who reach both."""

    def __init__(self, folder: Path, owner: Pipeline) -> None:
        self.folder, self.owner = folder, owner
        self.url, self.remote = folder / "server.git", folder / "remote"

    def person(self, name: str) -> Pipeline:
        """Somebody with a folder of their own; what git wants to know is in the environment."""
        folder = self.folder / name / "work"
        folder.mkdir(parents=True)
        return with_git(Pipeline(folder))

    def run(self, person: Pipeline, block: str) -> str:
        """Run a block of README, with the addresses of this team."""
        block = block.replace(URL, str(self.url)).replace(REMOTE, str(self.remote))
        done = person.call("bash", "-e", "-c", block)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def objects_of(self, path: Path) -> list[Path]:
        """Where the remote holds the bytes of a file."""
        content = path.read_bytes()
        files = (found for found in self.remote.rglob("*") if found.is_file())
        return [found for found in files if found.read_bytes() == content]


def with_git(person: Pipeline) -> Pipeline:
    person.environment |= {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "push.autoSetupRemote",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "init.defaultBranch",
        "GIT_CONFIG_VALUE_1": "main",
        **{f"GIT_{who}_NAME": "Somebody" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
    }
    return person


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)  # DVC takes read-only files to be whole


@pytest.fixture(scope="module")
def team(ran: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A run that was shared as README says."""
    folder = tmp_path_factory.mktemp("team")
    team = Team(folder, with_git(ran.copy(folder / "owner" / "work")))
    subprocess.run(["git", "init", "--quiet", "--bare", str(team.url)], check=True)
    team.owner.call("git", "remote", "add", "origin", str(team.url))
    team.run(team.owner, commands()[0])
    return team


def pulled(team: Team, name: str) -> Pipeline:
    """The clone of a teammate, who did as README says."""
    teammate = team.person(name)
    team.run(teammate, commands()[1])
    return with_git(Pipeline(teammate.folder / "parrot"))


def test_a_teammate_pulls_all_and_has_nothing_to_run(team: Team) -> None:
    clone = pulled(team, "teammate")
    assert (clone.folder / AGENT).read_bytes() == (team.owner.folder / AGENT).read_bytes()
    assert clone.call("dvc", "status").stdout.strip() == UP_TO_DATE
    assert "Running stage" not in clone.repro()
    assert clone.call("git", "status", "--porcelain").stdout == "", "the report is as committed"


def test_another_project_copies_imports_and_updates_the_prior(team: Team) -> None:
    get, imported, update = commands()[2].splitlines()
    project = team.person("project")
    team.run(project, "git init --quiet && dvc init --quiet")
    team.run(project, f"{get}\n{imported}\n{update}")
    weights = "prior.safetensors"
    before = (team.owner.folder / "models/prior" / weights).read_bytes()
    for name in ("copied", "prior"):
        assert (project.folder / name / weights).read_bytes() == before

    team.owner.set("train_prior", "learning_rate", 1.0e-3)
    team.owner.repro("train_prior")
    team.run(team.owner, commands()[0].split("verify true\n")[1])
    team.run(project, update)
    after = (team.owner.folder / "models/prior" / weights).read_bytes()
    assert before != after == (project.folder / "prior" / weights).read_bytes()
    assert (project.folder / "copied" / weights).read_bytes() == before


@pytest.fixture
def tampered(team: Team, tmp_path: Path) -> Team:
    """The same team, with one byte of an agent changed where the remote holds it."""
    remote = tmp_path / "remote"
    shutil.copytree(team.remote, remote)
    shutil.copytree(team.url, tmp_path / "server.git")
    other = Team(tmp_path, team.owner)
    (found,) = other.objects_of(team.owner.folder / AGENT)
    flip_a_byte(found)
    return other


def clone_of(team: Team, name: str, verify: str) -> Pipeline:
    person = team.person(name)
    team.run(person, commands()[1].splitlines()[0])
    clone = with_git(Pipeline(person.folder / "parrot"))
    settings = f"dvc remote modify --local team url {team.remote}\n"
    team.run(clone, f"{settings}dvc remote modify --local team verify {verify}")
    return clone


def test_a_changed_object_of_the_remote_is_refused_by_a_pull(tampered: Team) -> None:
    clone = clone_of(tampered, "careful", "true")
    done = clone.call("dvc", "pull")
    assert done.returncode != 0
    assert f"runs/{TASK}/parrot/0" in done.stderr
    assert not (clone.folder / AGENT).exists()


def test_a_changed_agent_that_was_pulled_is_refused_by_all_that_read_it(tampered: Team) -> None:
    clone = clone_of(tampered, "careless", "false")
    assert clone.call("dvc", "pull").returncode == 0
    run = f"runs/{TASK}/parrot/0"
    for command in (("evaluate", run), ("info", run), ("report", "--out", "../page")):
        done = clone.call("parrot", *command)
        assert done.returncode == 1, done.stdout + done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert sentence.startswith(f"error: {AGENT} was changed after it was written")
