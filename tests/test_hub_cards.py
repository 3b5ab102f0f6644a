"""`parrot card` of what a pipeline made: the hub reads it, its code runs, nothing is changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checkout import TASK, Pipeline

# In one process: the pipeline runs once
pytestmark = pytest.mark.xdist_group("pipeline")

hub = pytest.importorskip("huggingface_hub")
RUN, PRIOR, SHARDS = f"runs/{TASK}/parrot/0", "models/prior", "data/shards"


def card(ran: Pipeline, *arguments: str) -> str:
    done = ran.call("parrot", "card", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_card_of_a_prior_is_read_by_the_hub_and_loads_it(ran: Pipeline) -> None:
    page = card(ran, PRIOR, "--license", "mit")
    data = hub.ModelCard(page).data
    assert (data.license, data.pipeline_tag) == ("mit", "robotics")
    assert "## Limits" in page
    assert "data_manifest_sha256" not in page
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    done = ran.call("python", "-W", "ignore", "-c", f"import os; os.chdir({PRIOR!r})\n{code}")
    assert done.returncode == 0, done.stderr


def test_the_card_of_a_run_tells_its_success_and_acts(ran: Pipeline) -> None:
    page = card(ran, RUN)
    (result,) = hub.ModelCard(page).data.eval_results
    assert (result.dataset_name, result.metric_type) == (TASK, "success_rate")
    assert 0 <= result.metric_value <= 1
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    code = code.replace('Path("run")', f"Path({RUN!r})").replace(
        'Path("prior")', f"Path({PRIOR!r})"
    )
    done = ran.call("python", "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [RUN, SHARDS])
def test_a_card_is_written_beside_and_again_the_same(
    ran: Pipeline, tmp_path: Path, path: str
) -> None:
    before = contents(ran.folder / path)
    for name in ("a", "b", "b"):
        card(ran, path, "--out", str(tmp_path / name))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    page = (tmp_path / "a/README.md").read_text()
    shown = re.findall(r"^!\[.*\]\((.*)\)$", page, re.MULTILINE)
    assert len(shown) == 1
    assert all((tmp_path / "a" / name).exists() for name in shown)
    assert contents(ran.folder / path) == before


def test_what_has_no_card_says_so(ran: Pipeline) -> None:
    for path in ("report", "judged/prior", "data/kept"):
        done = ran.call("parrot", "card", path)
        assert done.returncode == 1
        assert re.fullmatch(f"error: {path} is .*\n", done.stderr)
