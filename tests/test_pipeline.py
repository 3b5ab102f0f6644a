"""The real pipeline: `dvc repro` from nothing to a report, on tiny params, and what reruns when."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from hashlib import sha256

import pytest
import torch
from checkout import ROOT, TASK, Pipeline
from safetensors.torch import save_file

from parrot_models.methods.table import METHODS
from tests.event_files import points_of, runs_in

# In one process: the pipeline runs once
pytestmark = pytest.mark.xdist_group("pipeline")

FIGURES = ("contact_sheet", "learning_curves", "likelihood", "rollouts")
README = (ROOT / "README.md").read_text()
UP_TO_DATE = "Data and pipelines are up to date."


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in sentences[0]


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


@pytest.fixture(scope="module")
def pipeline(ran: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return ran.copy(tmp_path_factory.mktemp("pipeline") / "checkout")


def test_everything_comes_out_of_nothing(pipeline: Pipeline) -> None:
    report = pipeline.folder / "report"
    summary = json.loads((report / "summary.json").read_text())
    assert [(run["method"], run["seed"]) for run in summary["runs"]] == [("parrot", 0), ("sac", 0)]
    assert all(run["env_steps"] == 100 for run in summary["runs"])
    table = (report / "table.txt").read_text()
    assert "success" in table
    assert "Prior:" in table
    assert (report / "index.html").stat().st_size > 10_000
    assert (pipeline.folder / "runs/pick-bar/parrot/0/video.gif").exists()


def test_git_gets_the_lock_and_the_reports_small_files_alone(pipeline: Pipeline) -> None:
    (pipeline.folder / "models" / "other.partial").mkdir()
    made = pipeline.call("git", "ls-files", "--others", "--exclude-standard").stdout.split()
    assert not [path for path in made if path.startswith(("data/", "models/", "judged/", "runs/"))]
    assert [path for path in made if path.startswith("report/")] == [
        "report/curves.csv",
        *(f"report/figures/{name}.png" for name in FIGURES),
        *(f"report/{name}" for name in ("metrics.json", "summary.json", "table.txt")),
    ]
    assert "dvc.lock" in made
    assert [path for path in made if path.endswith("/.gitignore")] == [".dvc/.gitignore"]


def test_trainings_left_their_curves_beside_their_outputs(pipeline: Pipeline) -> None:
    trained = [f"runs/{TASK}/{method}/0" for method in ("parrot", "sac")]
    logs = pipeline.folder / "logs"
    assert runs_in(logs) == [
        *("models/prior/flow", "models/prior/keypoints"),
        *(f"{run}/finetune" for run in trained),
    ]
    for place, phase, table, by in (
        ("models/prior", "flow", "history.csv", "step"),
        *((run, "finetune", "curve.csv", "env_steps") for run in trained),
    ):
        points = points_of(logs / place / phase)
        with (pipeline.folder / place / table).open(newline="") as file:
            rows = list(csv.DictReader(file))
        for name in rows[0].keys() - {by, "num_episodes"}:
            written = [(int(row[by]), float(row[name])) for row in rows if row[name]]
            read = points.get(f"{phase}/{name}", [])
            assert [step for step, _ in read] == [step for step, _ in written]
            assert [v for _, v in read] == pytest.approx([v for _, v in written], rel=1e-4)
    assert pipeline.call("git", "status", "--short", "logs").stdout == ""
    status = pipeline.call("dvc", "status").stdout
    shutil.rmtree(logs)
    assert pipeline.call("dvc", "status").stdout == status == f"{UP_TO_DATE}\n"


def test_metrics_and_plots_are_known_to_dvc(pipeline: Pipeline) -> None:
    shown = json.loads(pipeline.call("dvc", "metrics", "show", "--json").stdout)
    metrics = shown[""]["data"]
    (values,) = (entry["data"] for entry in metrics.values())
    assert list(metrics) == ["report/metrics.json"]
    assert {task: list(methods) for task, methods in values["agents"].items()} == {
        TASK: ["parrot", "sac"]
    }
    prior = {"log_prob_per_dim", "mode_success_rate", "rollout_success_rate"}
    assert values["prior"].keys() == prior
    plots = pipeline.call("dvc", "plots", "show", "--json")
    assert plots.returncode == 0, plots.stderr
    assert {"likelihood", "learning"} <= set(json.loads(plots.stdout)["data"])


def test_a_second_repro_runs_nothing_and_says_so(pipeline: Pipeline) -> None:
    output = pipeline.repro()
    assert stages_run(output) == []
    assert UP_TO_DATE in output


def test_a_run_is_evaluated_again_to_the_same_success(pipeline: Pipeline) -> None:
    run = "runs/pick-bar/parrot/0"
    done = pipeline.call("parrot", "evaluate", run)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((pipeline.folder / run / "metrics.json").read_text())
    shown = re.search(r"success_rate +(\S+)", done.stdout)
    assert shown
    assert float(shown[1]) == pytest.approx(metrics["success_rate"], abs=1e-6)


def test_the_films_of_readme_are_made_by_one_command(pipeline: Pipeline) -> None:
    docs = pipeline.folder / "docs"
    docs.mkdir()
    runs = {"FILM_TABLETOP": "parrot", "FILM_METAWORLD": "sac"}
    values = [f"{name}=runs/pick-bar/{method}/0" for name, method in runs.items()]
    done = pipeline.call("make", "films", "INSTALLED=", "ACTIVATE=:", *values)
    assert done.returncode == 0, done.stdout + done.stderr
    films = [docs / "tabletop.gif", docs / "metaworld.gif"]
    assert sorted(docs.iterdir()) == sorted(films)
    assert [f"docs/{path.name}" in README for path in films] == [True, True]
    shutil.rmtree(docs)


@pytest.mark.parametrize(
    "path", ["models/prior", "judged/prior", "parts.json", "runs/pick-bar/sac/0", "report"]
)
def test_info_knows_what_the_pipeline_made(pipeline: Pipeline, path: str) -> None:
    done = pipeline.call("parrot", "info", path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"sha256\S* +[0-9a-f]{64}", done.stdout)


def test_info_prints_the_chain_from_params_to_agent(pipeline: Pipeline) -> None:
    shown = pipeline.call("parrot", "info", "runs/pick-bar/parrot/0").stdout
    names = [line.split()[0].removeprefix("metrics.") for line in shown.splitlines()[1:5]]
    assert names == ["task", "method", "seed", "success_rate"]
    chain = dict(re.findall(r"lineage\.(\w+(?: \w+)*) +([0-9a-f]{64})", shown))
    root = pipeline.folder
    for link, path in (
        ("raw data", "data/episodes/manifest.json"),
        ("filter decision", "data/kept/kept.json"),
        ("shards", "data/shards/manifest.json"),
        ("prior", "models/prior/prior.safetensors"),
        ("agent", "runs/pick-bar/parrot/0/agent.safetensors"),
    ):
        assert chain[link] == sha256((root / path).read_bytes()).hexdigest(), link
    assert {"params of data", "params of prior", "params of run"} <= chain.keys()


def test_a_prior_of_another_environment_is_refused(pipeline: Pipeline) -> None:
    command = ("parrot", "finetune", "--task", "pick-bar", "--method", "parrot", "--seed", "0")
    values = (
        *("--prior", "models/prior", "--set", "environment.proprioception=false"),
        # foveal would be refused before
        *("--set", "train_prior.encoder={kind: fast, feature_dim: 6}"),
    )
    done = pipeline.call(*command, *values, "--out", "../other_run")
    assert_one_sentence(done, "models/prior", "observations.proprioception")


def test_weights_of_another_architecture_are_refused(pipeline: Pipeline) -> None:
    prior = pipeline.folder.with_name("other_prior")
    shutil.copytree(pipeline.folder / "models" / "prior", prior)
    weights = next(prior.glob("*.safetensors"))
    save_file({"another.weight": torch.zeros(3)}, weights)
    command = ("parrot", "finetune", "--task", "pick-bar", "--method", "parrot", "--seed", "0")
    done = pipeline.call(*command, "--prior", str(prior), "--out", "../other_run")
    assert_one_sentence(done, str(weights))


@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_harmed_shard_is_refused_by_training(pipeline: Pipeline, harm: str) -> None:
    data = pipeline.folder.with_name(f"{harm}_shards")
    shutil.copytree(pipeline.folder / "data" / "shards", data)
    shard = min(p for p in (data / "episodes.zarr/actions").rglob("0") if p.is_file())
    content = shard.read_bytes()
    shard.unlink()
    if harm == "truncated":
        shard.write_bytes(content[: len(content) // 2])
    done = pipeline.call(
        "parrot", "train-prior", "--data", str(data), "--out", "../other_prior_out"
    )
    assert_one_sentence(done, str(shard))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--task", "pick-0", "--method", "parrot"), ("pick-0", "pick-bar")),
        (("--task", "pick-bar", "--method", "parot"), ("parot", "parrot")),
        (("--task", "pick-bar", "--method", "sac", "--set", "finetune.utd=x"), ("finetune.utd",)),
    ],
)
def test_a_slip_in_a_run_is_refused(
    pipeline: Pipeline, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    command = ("parrot", "finetune", "--prior", "models/prior", "--seed", "0")
    assert_one_sentence(pipeline.call(*command, *options, "--out", "../other_run"), *words)


def test_a_study_is_not_disturbed_by_one_of_another_task(pipeline: Pipeline) -> None:
    (pipeline.folder / "study/another/another/parrot/0").mkdir(parents=True)
    values = (f"STUDY_TASK={TASK}", "STUDY_SEEDS=0", "STUDY_METHODS=parrot")
    # An installed environment is there already: nothing to install, nothing to activate.
    done = pipeline.call("make", "study", "INSTALLED=", "ACTIVATE=:", *values)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((pipeline.folder / "results" / TASK / "summary.json").read_text())
    assert [(run["task"], run["method"]) for run in summary["runs"]] == [(TASK, "parrot")]


def test_a_finetune_param_reruns_finetune_and_report_alone(pipeline: Pipeline) -> None:
    pipeline.set("finetune", "video_episodes", 0)  # nobody looks at later films
    output = pipeline.repro()
    assert stages_run(output) == ["finetune@pick-bar-parrot-0", "finetune@pick-bar-sac-0", "report"]
    assert "pick-bar  parrot  0" in output
    assert UP_TO_DATE in pipeline.repro()


def test_the_matrix_grows_and_shrinks_without_rerunning_the_rest(pipeline: Pipeline) -> None:
    pipeline.set("finetune", "methods", ["parrot", "sac"])
    pipeline.set("finetune", "seeds", ["0", "1"])
    output = pipeline.repro()
    assert stages_run(output) == ["finetune@pick-bar-parrot-1", "finetune@pick-bar-sac-1", "report"]
    summary = json.loads((pipeline.folder / "report" / "summary.json").read_text())
    assert len(summary["runs"]) == 4

    pipeline.set("finetune", "seeds", ["0"])
    failed = pipeline.call("dvc", "repro")
    assert failed.returncode != 0
    assert "error: runs/pick-bar/parrot/1 is left over" in failed.stderr
    for method in ("parrot", "sac"):
        shutil.rmtree(pipeline.folder / "runs" / "pick-bar" / method / "1")
    assert stages_run(pipeline.repro()) == ["report"]


def test_the_same_hashes_come_out_again(pipeline: Pipeline) -> None:
    before = pipeline.lock()
    for name in ("data", "models", "judged", ".dvc/cache"):
        shutil.rmtree(pipeline.folder / name)
    stages = ["generate", "filter", "shard", "train_prior", "judge@prior"]
    assert stages_run(pipeline.repro("judge")) == stages
    after = pipeline.lock()
    for stage in stages:
        assert after[stage]["outs"] == before[stage]["outs"], stage


def test_a_method_of_every_part_runs_and_each_depends_on_its_own_alone(pipeline: Pipeline) -> None:
    """Of every part: test_open_house has every method learn."""
    of_part = {METHODS[name].part.name: name for name in reversed(METHODS)}
    methods = [name for name in METHODS if name in {*of_part.values(), "sac"}]
    parts = of_part.keys() - {"prior"}
    flows = {"spline", "matching"}
    pipeline.set("finetune", "flows", sorted(flows & parts))
    pipeline.set("finetune", "parts", sorted(parts - flows))
    pipeline.set("finetune", "methods", methods)
    run = set(stages_run(pipeline.repro()))
    assert {f"train_flow@{name}" for name in flows} <= run
    assert {f"pretrain@{name}" for name in parts - flows} <= run
    summary = json.loads((pipeline.folder / "report" / "summary.json").read_text())
    assert [run["method"] for run in summary["runs"]] == methods
    assert {part["part"] for part in summary["parts"]} == parts
    chain = pipeline.call("parrot", "info", "runs/pick-bar/bc_sac/0").stdout
    assert re.search(r"lineage\.prior +[0-9a-f]{64} \(as in models/bc", chain)

    before = json.loads((pipeline.folder / "parts.json").read_text())
    pipeline.set("train_prior", "gradient_clip", 2.0)
    assert "finetune@pick-bar-bc_sac-0" not in stages_run(pipeline.repro("parts"))
    after = json.loads((pipeline.folder / "parts.json").read_text())
    changed = {name for name in METHODS if before[name] != after[name]}
    assert changed == {name for name in METHODS if METHODS[name].part.name in flows | {"prior"}}
    stages = {f"finetune@pick-bar-{method}-0": method for method in methods}
    stale = json.loads(pipeline.call("dvc", "status", "--json", *stages).stdout)
    stale_by_part = {stages[name] for name in stale if "parts.json" in str(stale[name])}
    assert stale_by_part == changed.intersection(methods)

    pipeline.set("keypoints", "steps", 5)
    pipeline.repro("--single-item", "pretrain@bc", "pretrain@vae")
    assert pipeline.call("parrot", "parts", "--out", "parts.json").returncode == 0
    other = json.loads((pipeline.folder / "parts.json").read_text())
    assert {name for name in METHODS if other[name] != after[name]} == {"bc_sac"}
