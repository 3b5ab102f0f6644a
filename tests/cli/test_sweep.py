"""A sweep makes what is not there, and says how far all of it is together."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli.progress import share_of
from cli.sweep_watch import watch
from parrot_data.errors import UserError
from parrot_data.jobs.job import Doing, Ended, Job
from tests.cli.commands import parrot
from tests.parrot_models.small_shards import write_made_up
from tests.small_project import make_project
from tests.specs import spec_of

SMALL = {
    "augment": [],
    "encoder": {"kind": "vector"},
    "log_every": 2,
    "context_dim": 4,
    "hidden": [4],
    "steps": 4,
    "batch_size": 4,
}


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("finetune 500/20000, 12.0/s, 0:10:00 left, success 0.20", 0.025),
        ("pretrain 4/4", 1.0),
        ("finetune 0/0", 0.0),
        ("note: it goes on from 1/2", 0.0),
        ("", 0.0),
    ],
)
def test_what_a_stage_says_in_a_log_is_read_as_a_share(line: str, share: float) -> None:
    assert share_of(line) == share


def job(name: str, size: int) -> Job:
    return Job(name, ("finetune",), {}, Path(name), size)


def test_progress_is_of_all_jobs_and_never_falls(capsys: pytest.CaptureFixture[str]) -> None:
    from cli.sweep_watch import _Overall

    jobs = [job("there", 100), job("a", 100), job("b", 200)]
    told: list[tuple[int, int, str]] = []
    overall = _Overall(jobs, jobs[1:], lambda *each: told.append(each))
    overall.listen({})
    overall.listen({"a": Doing("node-1", "finetune 50/100"), "b": Doing("", "finetune 1/100")})
    overall.listen({"a": Doing("node-2", "finetune 0/100")})  # it began again elsewhere
    overall.end(jobs[1])
    overall.end(jobs[2])
    assert [done for done, _, _ in told] == [100, 152, 152, 200, 400]
    assert {total for _, total, _ in told} == {400}
    assert told[1][2] == "1 of 3 runs; a on node-1 50%; b 1%"
    assert told[-1][2] == "3 of 3 runs"


def test_failures_are_told_by_name_and_counted_in_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cli.sweep_jobs import Sweep

    jobs = [job(name, 1) for name in ("a", "b", "c")]
    wanted = Sweep("", None, None, jobs, jobs)  # type: ignore[arg-type]

    def run(_listen: object):
        yield Ended(jobs[1], "it is broken")
        yield Ended(jobs[0], "")
        yield Ended(jobs[2], "")

    with pytest.raises(UserError, match="1 of 3 runs failed, b;"):
        watch(wanted, run)
    shown = capsys.readouterr()
    assert "error: b: it is broken" in shown.err
    assert shown.out.split() == ["made", "a", "made", "c"]


def test_parts_are_pretrained_once_for_their_params_and_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project", parts=())
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["pretrain"], params["keypoints"] = {"bc": SMALL}, {"kind": "none"}
    params["finetune"]["parts"] = ["bc"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_made_up(project / "shards", spec_of(vectors={"position": 2, "goal": 2}, action_dim=2))
    told = ("sweep", "--stage", "pretrain", "--data", "shards", "--jobs", "1", "--logs", "")
    first = parrot(*told)
    assert first.exit_code == 0, first.output
    assert "made models/bc" in first.stdout
    assert parrot(*told).stdout == ""
    other = parrot(*told, "--set", "pretrain.bc.steps=6")
    assert "made models/bc" in other.stdout
