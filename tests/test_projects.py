"""Projects outside the repository: `parrot init` and all that follows, with an installed wheel."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import ROOT, TASK, TINY, changed
from installed import Installed

from cli.project_lock import code_hashes

# In one process: the wheel is built once
pytestmark = pytest.mark.xdist_group("installed")

ONE_METHOD = {"finetune": {**TINY["finetune"], "methods": ["parrot"]}}
OF_SHARDS = {name: TINY[name] for name in ("shard", "audit")}
WITHOUT_IMAGES = {
    "train_prior": {
        name: value for name, value in TINY["train_prior"].items() if name != "encoder"
    },
}


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


def make_tiny(project: Path, changes: dict) -> None:
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump(changed(yaml.safe_load(path.read_text()), changes)))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def project(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the default world in which the pipeline ran, tiny."""
    folder = tmp_path_factory.mktemp("project") / "mine"
    installed.do(folder.parent, "parrot", "init", "mine")
    make_tiny(folder, TINY | ONE_METHOD)
    installed.do(folder, "dvc", "repro")
    return folder


def test_nothing_of_a_checkout_is_imported(installed: Installed, tmp_path: Path) -> None:
    code = """if True:
        import json, sys, cli.main
        from parrot_data import generate, filter, shard
        from parrot_models import train_prior, pretrain, judge, finetune, report, audit
        tops = {"benchmarks", "cli", "parrot_data", "parrot_models"}
        ours = [m for name, m in sys.modules.items() if name.partition(".")[0] in tops]
        print(json.dumps([getattr(m, "__file__", None) or list(m.__path__)[0] for m in ours]))
    """
    files = json.loads(installed.do(tmp_path, "python", "-c", code))
    assert len(files) > 100
    assert [path for path in files if not Path(path).is_relative_to(installed.packages)] == []


def test_an_installed_parrot_has_the_code_of_the_checkout(
    installed: Installed, tmp_path: Path
) -> None:
    installed.do(tmp_path, "parrot", "init", "mine")
    locked = yaml.safe_load((tmp_path / "mine/parrot.lock").read_text())
    assert locked["stages"] == code_hashes()
    assert locked["requirement"].startswith("parrot-priors==")
    written = (tmp_path / "mine/params.yaml").read_bytes()
    assert written == (ROOT / "params.yaml").read_bytes()


def test_the_whole_pipeline_runs_in_a_project(project: Path) -> None:
    summary = json.loads((project / "report/summary.json").read_text())
    assert [(run["task"], run["method"]) for run in summary["runs"]] == [(TASK, "parrot")]


def test_a_second_repro_runs_nothing(installed: Installed, project: Path) -> None:
    assert stages_run(installed.do(project, "dvc", "repro")) == []


def test_git_gets_what_was_written_and_no_outputs(installed: Installed, project: Path) -> None:
    listed = installed.do(project, "git", "ls-files", "--others", "--cached", "--exclude-standard")
    names = set(listed.split())
    assert {"params.yaml", "dvc.yaml", "dvc.lock", "parrot.lock", "README.md"} < names
    large = ("data/", "models/", "judged/", "runs/", "logs/", "report/index")
    assert not [name for name in names if name.startswith(large)]


def test_another_parrot_is_refused_until_it_is_locked(installed: Installed, project: Path) -> None:
    """Then what has other code is stale, and nothing else."""
    module = installed.packages / "parrot_models/report.py"
    before = module.read_text()
    try:
        module.write_text(f"{before}\n# another version\n")
        done = installed.call(project, "dvc", "repro", "--force", "--single-item", "filter")
        assert done.returncode != 0
        (sentence,) = re.findall("^error: .*", done.stderr, re.MULTILINE)
        assert "parrot.lock" in sentence
        assert "parrot init --upgrade" in sentence
        installed.do(project, "parrot", "init", "--upgrade", ".")
        assert stages_run(installed.do(project, "dvc", "repro")) == ["report"]
    finally:
        module.write_text(before)
    status = installed.do(project, "dvc", "status")
    assert "up to date" in status, "the lock says what a stage is made with"
    installed.do(project, "parrot", "init", "--upgrade", ".")
    stale = json.loads(installed.do(project, "dvc", "status", "--json"))
    assert list(stale) == ["report"]


def test_data_alone_train_a_prior_that_is_audited(installed: Installed, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {
        "observations": rng.normal(size=(240, 3)),
        "actions": rng.uniform(-1, 1, (240, 2)),
        "terminals": np.arange(240) % 12 == 11,
    }
    np.savez(tmp_path / "rows.npz", **{k: v.astype(np.float32) for k, v in rows.items()})
    imported = ("import", "rows.npz", "--format", "npz", "--task", "reach", "--out", "episodes")
    installed.do(tmp_path, "parrot", *imported)
    installed.do(tmp_path, "parrot", "init", "mine", "--from", "episodes")
    project = tmp_path / "mine"
    make_tiny(project, OF_SHARDS | WITHOUT_IMAGES)
    stages = ["filter", "shard", "train_prior", "audit"]
    assert stages_run(installed.do(project, "dvc", "repro")) == stages
    assert (project / "audited/audit.png").exists()
    assert (project / "data/episodes.dvc").exists()
    assert stages_run(installed.do(project, "dvc", "repro")) == []


@pytest.mark.parametrize("command", ["bench --out b", "profile --out b", "torture --out b"])
def test_what_measures_a_checkout_says_so(
    installed: Installed, tmp_path: Path, command: str
) -> None:
    done = installed.call(tmp_path, "parrot", *command.split())
    assert done.returncode == 1
    assert re.fullmatch("error: .*checkout of Parrot's repository.*\n", done.stderr)
