"""Experiments and worktrees run their own code, not that of the checkout that is installed."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT, Pipeline, check_out

from cli import entry

STAGE = """stages:
  told:
    cmd: parrot --version > told.txt
    deps: [../cli/console.py]
    outs: [{told.txt: {cache: false}}]
"""
CALL = """#!{python}
import sys
sys.path.insert(0, {root!r})
from {module} import {function}
{function}()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Pipeline:
    """A checkout that `parrot` on PATH is installed from; its one stage has it say its version."""
    workspace = check_out(tmp_path / "work", ["Makefile"])
    (workspace.folder / "dvc.yaml").unlink()
    (workspace.folder / "study").mkdir()
    (workspace.folder / "study" / "dvc.yaml").write_text(STAGE)
    (workspace.folder / ".gitignore").write_text("__pycache__/\n")
    script = tmp_path / "bin" / "parrot"
    script.parent.mkdir()
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
        "parrot"
    ].split(":")
    script.write_text(
        CALL.format(
            python=sys.executable, root=str(workspace.folder), module=module, function=function
        )
    )
    script.chmod(0o755)
    del workspace.environment["PYTHONPATH"]
    workspace.environment |= {
        "PATH": f"{script.parent}:{workspace.environment['PATH']}",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_NAME": "Nobody" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "nobody@example.org" for who in ("AUTHOR", "COMMITTER")},
    }
    done(workspace, "git", "add", "--all")
    done(workspace, "git", "commit", "--quiet", "--message", "Start")
    return workspace


def done(workspace: Pipeline, *command: str) -> str:
    ran = workspace.call(*command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def change_version(folder: Path) -> None:
    path = folder / "cli" / "console.py"
    code = path.read_text()
    assert code.count('f"parrot {version') == 1
    path.write_text(code.replace('f"parrot {version', 'f"changed {version'))


def test_a_queued_experiment_runs_the_code_and_values_it_was_queued_with(
    workspace: Pipeline,
) -> None:
    change_version(workspace.folder)
    queue = ("dvc", "exp", "run", "--queue", "--name", "other", "-S", "finetune.discount=0.5")
    done(workspace, *queue, "study/dvc.yaml")
    done(workspace, "git", "checkout", "--quiet", ".")
    (workspace.folder / "cli" / "main.py").write_text("while somebody edits (")
    done(workspace, "dvc", "exp", "run", "--run-all")
    refs = done(workspace, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (ref,) = (ref for ref in refs if ref.endswith("/other"))
    assert done(workspace, "git", "show", f"{ref}:study/told.txt").startswith("changed 0.")
    assert not (workspace.folder / "study" / "told.txt").exists()
    workspace.environment["COLUMNS"] = "200"
    shown = done(workspace, "make", "experiments", "INSTALLED=", "ACTIVATE=:")
    header = next(line for line in shown.splitlines() if "Experiment" in line)
    columns = set(header.split()) - {"Created", "State", "Executor"}
    assert columns == {"Experiment", "finetune.discount"}
    assert "[other]" in shown


@pytest.fixture
def tree(workspace: Pipeline) -> Pipeline:
    done(workspace, "git", "worktree", "add", "--quiet", "--detach", "../tree")
    return beside(workspace, "tree")


def beside(workspace: Pipeline, name: str) -> Pipeline:
    """Calls with the same environment, in a folder beside it."""
    other = Pipeline(workspace.folder.with_name(name))
    other.environment = workspace.environment
    return other


def test_a_worktree_runs_its_own_code_and_says_so(workspace: Pipeline, tree: Pipeline) -> None:
    change_version(tree.folder)
    told = tree.call("parrot", "--version")
    assert (told.returncode, told.stdout[:9]) == (0, "changed 0")
    assert told.stderr == (
        f"note: running the code of {tree.folder}, not that of {workspace.folder}: "
        "this is called in there\n"
    )
    at_home = workspace.call("parrot", "--version")
    assert (at_home.stdout[:8], at_home.stderr) == ("parrot 0", "")


def test_arguments_and_mistakes_go_through(workspace: Pipeline, tree: Pipeline) -> None:
    elsewhere = beside(workspace, "elsewhere")
    elsewhere.folder.mkdir()
    expected, told = (each.call("parrot", "info", "no thing") for each in (elsewhere, tree))
    assert "no thing does not exist" in expected.stderr
    assert (told.returncode, told.stdout) == (expected.returncode, "") == (1, "")
    assert told.stderr.splitlines()[1:] == expected.stderr.splitlines()


def test_code_of_another_user_is_not_run(
    tree: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree.folder)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    monkeypatch.setattr("sys.argv", ["parrot", "--version"])
    with pytest.raises(SystemExit, match="0"):
        entry.main()
    told = capsys.readouterr()
    assert told.out.startswith("parrot 0")
    assert f"{tree.folder} is another user's" in told.err
