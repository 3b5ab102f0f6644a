"""Folders lie on a node as they lie here, so that paths from one to another are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parrot_data.jobs.job import Job
from parrot_data.jobs.layout import layout_of


def job(prior: str, out: str) -> Job:
    return Job("a", ("finetune", "--task", "pick"), {"--prior": Path(prior)}, Path(out))


@pytest.mark.parametrize(
    ("prior", "out"),
    [
        ("models/prior", "runs/pick/sac/0"),
        ("../../models/prior", "runs/pick/sac/0"),
        ("/models/prior", "../study/0"),
        ("models/../models/prior", "runs"),
    ],
)
def test_paths_between_folders_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prior: str, out: str
) -> None:
    here = tmp_path / "studies" / "audit"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    layout = layout_of(job(prior, out), here)
    placed = layout.inputs["--prior"]
    assert ".." not in Path(placed).parts
    assert os.path.relpath(placed, layout.out) == os.path.relpath(prior, out)
    assert os.path.relpath(layout.called_in, layout.out) == os.path.relpath(here, here / out)


def test_an_output_behind_a_link_is_seen_from_where_the_link_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run says it of its prior: its folder is found from the disk it lies on."""
    (tmp_path / "here").mkdir()
    (tmp_path / "disk/runs").mkdir(parents=True)
    (tmp_path / "here/runs").symlink_to(tmp_path / "disk/runs")
    monkeypatch.chdir(tmp_path / "here")
    layout = layout_of(job("models/prior", "runs/0"), tmp_path / "here")
    wanted = os.path.relpath(tmp_path / "here/models/prior", tmp_path / "disk/runs/0")
    assert os.path.relpath(layout.inputs["--prior"], layout.out) == wanted


def test_a_command_names_its_folders_where_they_are_placed() -> None:
    words = job("p", "o").command(lambda path: Path("/node") / path)
    assert words == ["finetune", "--task", "pick", "--prior", "/node/p", "--out", "/node/o"]
