"""The report is one page, the same bytes every time, of exactly the runs of the matrix."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.shard import shard
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import seal
from parrot_models.report import ReportParams, report
from tests.browser import CHROMIUM, browser
from tests.parrot_data.synthetic import (
    SPECS,
    filter_params,
    shard_params,
    synthetic_episodes,
    write_raw,
)

PARAMS = ReportParams(
    contact_sheet_episodes=4,
    contact_sheet_frames=3,
    contact_sheet_columns=2,
    bootstrap_draws=100,
    bootstrap_seed=0,
)
METHODS, SEEDS = ("parrot", "sac"), ("0", "1")
WANTED = list(itertools.product(("pick-1",), METHODS, SEEDS))
PRIOR = {
    "log_prob_per_dim": 1.25,
    "inverse_error": 1e-7,
}
ROLLOUTS = {
    "sampled": {"success_rate": 0.4, "any_object_rate": 0.6},
    "mode": {"success_rate": 0.5, "any_object_rate": 0.7},
    "random": {"success_rate": 0.01, "any_object_rate": 0.02},
}
JUDGED = {
    "kind": "prior",
    "rollouts": {name: {**rates, "families": {"all": rates}} for name, rates in ROLLOUTS.items()},
    "probe_error": {"agent_features": 0.012},
    "not_judged": {},
}
UNTRAINED = {
    "untrained_success_rate": 0.0,
    "untrained_mode_success_rate": None,
    "outcomes": {"any_object": 0.75},
    "steps_to_50": None,
    "steps_to_80": None,
    "env_steps": 400,
}


def write_data(folder: Path, spec: EpisodeSpec = SPECS["tabletop-like"]) -> None:
    """Kept episodes and shards, each in a folder of that name."""
    raw = folder / "episodes"
    write_raw(raw, synthetic_episodes(12, spec=spec), spec)
    filter_episodes(filter_params(), raw, folder / "kept")
    shard(shard_params(), raw, folder / "kept", folder / "shards")


def write_judged(folder: Path, model: Path, metrics: dict[str, object] = JUDGED) -> None:
    """A judgement of a model, which gets weights to be judged by."""
    folder.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    hashes = {"model.safetensors": sha256_file(model / "model.safetensors")}
    write_json(folder / "config.json", {"model_sha256": hashes})
    write_json(folder / "metrics.json", metrics)
    seal(folder, ["config.json", "metrics.json"])


def write_run(folder: Path, final: float) -> None:
    folder.mkdir(parents=True)
    rows = [f"{step},{final * step / 400},20" for step in range(0, 401, 100)]
    (folder / "curve.csv").write_text("env_steps,success_rate,num_episodes\n" + "\n".join(rows))
    metrics = {"steps_to_50": 300, "steps_to_80": 400} if final > 0 else {}
    write_json(folder / "metrics.json", {**UNTRAINED, **metrics, "success_rate": final})
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 200)]
    frames[0].save(folder / "video.gif", save_all=True, append_images=frames[1:])
    seal(folder, [path.name for path in folder.iterdir()])


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_data(tmp_path)
    (tmp_path / "prior").mkdir()
    write_json(tmp_path / "prior" / "metrics.json", PRIOR)
    (tmp_path / "prior" / "history.csv").write_text(
        "step,train_log_prob_per_dim,validation_log_prob_per_dim\n0,-1,-1.1\n10,0.5,\n20,1.0,0.9\n"
    )
    seal(tmp_path / "prior", ["history.csv", "metrics.json"])
    write_judged(tmp_path / "judged" / "prior", tmp_path / "prior")
    for task, method, seed in WANTED:
        final = 0.9 if method == "parrot" else 0.0
        write_run(tmp_path / "runs" / task / method / seed, final)
    return tmp_path


def make(
    inputs: Path,
    out: str = "report",
    wanted: list[tuple[str, str, str]] = WANTED,
    params: ReportParams = PARAMS,
    audited: Path | None = None,
) -> Path:
    made = {name: inputs / name for name in ("shards", "kept", "prior")}
    parts = {path.name: path for path in sorted((inputs / "parts").glob("*"))}
    judged = inputs / "judged"
    folders = (*made.values(), parts, judged, inputs / "runs", inputs / out)
    report(params, wanted, *folders, audited=audited)
    return inputs / out


def write_parts(inputs: Path) -> None:
    for name in ("spline", "vae"):
        (inputs / "parts" / name).mkdir(parents=True)
        write_json(inputs / "parts" / name / "metrics.json", {"log_prob_per_dim": 0.375})
        seal(inputs / "parts" / name, ["metrics.json"])
    write_json(inputs / "prior" / "config.json", {"params": {"train_prior": {"flow": "affine"}}})
    Image.new("RGB", (32, 32), (0, 200, 0)).save(inputs / "parts" / "vae" / "reconstructions.png")


def test_same_inputs_make_the_same_bytes(inputs: Path) -> None:
    first, second = make(inputs, "first"), make(inputs, "second")
    names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(names) == 12
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_page_needs_no_other_file(inputs: Path) -> None:
    html = (make(inputs) / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) == 7 + len(METHODS), "figures, and a video a method and task"
    assert all(source.startswith("data:image/") for source in sources)
    # What encodes an image may spell anything
    assert "http" not in re.sub(r'"data:image/[^"]*"', "", html)


def test_page_shows_the_params_of_data_prior_and_runs(inputs: Path) -> None:
    write_json(inputs / "prior" / "config.json", {"params": {"train_prior": {"steps": 4321}}})
    for task, method, seed in WANTED:
        config = {"agent": {"hidden": len(method)}, "environment": {}, "seed": seed}
        write_json(inputs / "runs" / task / method / seed / "config.json", config)
    html = (make(inputs) / "index.html").read_text()
    titles = re.findall(r"<summary>(Params of [^<]*)</summary>", html)
    assert titles[:2] == ["Params of the data", "Params of the prior"]
    assert titles[2:] == ["Params of runs of parrot", "Params of runs of sac"]
    assert html.count("&#34;steps&#34;: 4321") == 1
    assert html.count("&#34;hidden&#34;: 6") == html.count("&#34;hidden&#34;: 3") == 1


CUT_OFF = """[...document.querySelectorAll(".scroll")].filter(
  (each) => each.scrollWidth > each.clientWidth
).length"""


@pytest.mark.skipif(not CHROMIUM, reason="needs a browser")
@pytest.mark.parametrize("asks_for_calm", [False, True])
def test_films_stop_and_nothing_is_cut_off_in_a_browser(inputs: Path, asks_for_calm: bool) -> None:
    kept = inputs / "kept" / "summary.json"
    summary = json.loads(kept.read_text())
    for values in summary["tasks"].values():
        values["failures"] = {f"one of many long reasons {number}": number for number in range(20)}
    write_json(kept, summary)
    path = make(inputs) / "index.html"
    moves, rests = "false", "true"
    calm = {"name": "prefers-reduced-motion", "value": "reduce" if asks_for_calm else ""}
    film, copy = (f"document.querySelector('{each}')" for each in ("button.film", ".copy"))
    with browser(inputs / "browser") as page:
        page.size(1400, 900)
        page.call("Emulation.setEmulatedMedia", features=[calm])
        page.call("Page.navigate", url=path.as_uri())
        page.wait(f"document.readyState === 'complete' && {copy} !== null")
        states = [page.evaluate(f"{film}.getAttribute('aria-pressed')")]
        states.append(page.evaluate(f"{film}.click(), {film}.getAttribute('aria-pressed')"))
        assert states == ([rests, moves] if asks_for_calm else [moves, rests])
        assert page.evaluate(CUT_OFF) == 0
        digest = sha256_file(inputs / "shards" / "manifest.json")
        assert page.evaluate(f"{copy}.parentElement.firstChild.textContent") == digest
        page.evaluate(f"{copy}.click()")
        page.wait(f"{copy}.textContent === 'copied'")


def test_page_names_the_hash_of_everything_it_came_from(inputs: Path) -> None:
    html = (make(inputs) / "index.html").read_text()
    folders = ("judged", "kept", "prior", "runs")
    files = [path for name in folders for path in (inputs / name).rglob("*.*")]
    for path in (inputs / "shards" / "manifest.json", *files):
        assert sha256_file(path) in html, path


def test_summary_has_an_entry_a_run(inputs: Path) -> None:
    summary = json.loads((make(inputs) / "summary.json").read_text())
    assert [(r["task"], r["method"], str(r["seed"])) for r in summary["runs"]] == WANTED
    assert summary["runs"][0] == {
        "task": "pick-1",
        "method": "parrot",
        "seed": 0,
        "success_rate": 0.9,
        "steps_to_50": 300,
        "steps_to_80": 400,
        "env_steps": 400,
    }
    assert summary["runs"][-1]["steps_to_50"] is None


def test_summary_has_the_keys_others_script_against_and_no_more(inputs: Path) -> None:
    summary = json.loads((make(inputs) / "summary.json").read_text())
    assert summary.keys() == {"runs", "prior", "final", "statistics", "parts"}
    run_keys = {*("task", "method", "seed", "success_rate"), *("steps_to_50", "steps_to_80")}
    assert [set(run) for run in summary["runs"]] == [run_keys | {"env_steps"}] * len(WANTED)
    assert summary["prior"] == {
        "log_prob_per_dim": 1.25,
        "rollout_success_rate": 0.4,
        "mode_success_rate": 0.5,
        "random_success_rate": 0.01,
    }
    assert summary["final"] == {
        "pick-1": {"parrot": {"success_rate": 0.9}, "sac": {"success_rate": 0.0}}
    }


def test_experiments_are_compared_by_a_few_numbers(inputs: Path) -> None:
    assert json.loads((make(inputs) / "metrics.json").read_text()) == {
        "agents": {
            "pick-1": {
                "parrot": {"success_rate": 0.9, "steps_to_80": 400},
                "sac": {"success_rate": 0.0},
            }
        },
        "prior": {
            "log_prob_per_dim": 1.25,
            "rollout_success_rate": 0.4,
            "mode_success_rate": 0.5,
        },
    }


def test_figures_are_images(inputs: Path) -> None:
    figures = make(inputs) / "figures"
    names = {path.stem for path in figures.iterdir()}
    of_methods = {"learning_curves", "interquartile_means", "performance_profiles", "improvement"}
    assert names == of_methods | {"contact_sheet", "likelihood", "rollouts"}
    for path in figures.iterdir():
        with Image.open(path) as image:
            assert image.info.keys() <= {"dpi"}, "metadata would change with every version"
            assert min(image.size) > 20


def test_methods_are_compared_over_all_runs(inputs: Path) -> None:
    folder = make(inputs)
    statistics = json.loads((folder / "summary.json").read_text())["statistics"]
    assert statistics["iqm"] == {
        "parrot": {"value": 0.9, "low": 0.9, "high": 0.9},
        "sac": {"value": 0.0, "low": 0.0, "high": 0.0},
    }
    assert statistics["improvement"][0] == {
        "method": "parrot",
        "over": "sac",
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    assert "IQM" in (folder / "table.txt").read_text()


def test_the_bootstraps_seed_is_among_the_params(inputs: Path) -> None:
    for seed, final in (("0", 0.4), ("1", 0.8)):
        shutil.rmtree(inputs / "runs" / "pick-1" / "parrot" / seed)
        write_run(inputs / "runs" / "pick-1" / "parrot" / seed, final)
    one, other = (
        json.loads((make(inputs, params=params) / "summary.json").read_text())
        for params in (PARAMS, PARAMS.model_copy(update={"bootstrap_seed": 1}))
    )
    assert one["statistics"].pop("bootstrap") == {"draws": 100, "seed": 0}
    assert other["statistics"].pop("bootstrap") == {"draws": 100, "seed": 1}
    values = [summary["statistics"]["iqm"]["parrot"]["value"] for summary in (one, other)]
    assert values == [pytest.approx(0.6)] * 2


def test_one_run_a_method_has_no_statistics(inputs: Path) -> None:
    for method in METHODS:
        shutil.rmtree(inputs / "runs" / "pick-1" / method / "1")
    folder = make(inputs, wanted=[key for key in WANTED if key[2] == "0"])
    assert json.loads((folder / "summary.json").read_text())["statistics"] == {}
    assert "IQM" not in (folder / "table.txt").read_text()
    assert "one run a method" in (folder / "index.html").read_text()
    assert {path.stem for path in (folder / "figures").iterdir()} == {
        *("contact_sheet", "learning_curves", "likelihood", "rollouts")
    }


def test_parts_are_shown_beside_the_prior(inputs: Path) -> None:
    heading = "Other pre-trained parts"
    assert heading not in (make(inputs) / "index.html").read_text()
    write_parts(inputs)
    folder = make(inputs)
    html = (folder / "index.html").read_text()
    assert heading in html
    assert "prior (affine)" in html
    assert sha256_file(inputs / "parts" / "spline" / "metrics.json") in html
    drawn = (folder / "figures" / "vae_reconstructions.png").read_bytes()
    assert drawn == (inputs / "parts" / "vae" / "reconstructions.png").read_bytes()
    summary = json.loads((folder / "summary.json").read_text())
    assert [part["part"] for part in summary["parts"]] == ["spline", "vae"]


def test_untrained_success_and_other_outcomes_are_shown(inputs: Path) -> None:
    lines = (make(inputs) / "table.txt").read_text().splitlines()
    for words in ("untrained", "at z = 0", "any object"):
        assert words in lines[0]
    assert lines[2].split()[3:8] == ["0.00", "-", "0.90", "0.90", "0.90"]
    assert lines[2].split()[8] == "0.75"
    assert "succeed in 40.0% of scenes, in 50.0% at z = 0, uniform random" in lines[-1]


def test_what_was_not_judged_is_said_to_be_not(inputs: Path) -> None:
    shutil.rmtree(inputs / "judged")
    folder = make(inputs)
    assert "not judged" in (folder / "table.txt").read_text()
    assert "not judged" in (folder / "index.html").read_text()
    assert not (folder / "figures" / "rollouts.png").exists()
    prior = json.loads((folder / "summary.json").read_text())["prior"]
    assert prior["rollout_success_rate"] is None


def test_a_world_without_unseen_scenes_is_given_as_the_reason(inputs: Path) -> None:
    shutil.rmtree(inputs / "judged")
    reason = "the world has no unseen scenes"
    metrics = {"kind": "prior", "not_judged": {"rollouts": reason}}
    write_judged(inputs / "judged" / "prior", inputs / "prior", metrics)
    assert reason in (make(inputs) / "index.html").read_text()


def test_a_judgement_of_other_weights_is_named(inputs: Path) -> None:
    (inputs / "prior" / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="judged/prior judges other weights than those in"):
        make(inputs)


def test_parts_are_judged_beside_the_prior(inputs: Path) -> None:
    write_parts(inputs)
    write_judged(inputs / "judged" / "spline", inputs / "parts" / "spline")
    folder = make(inputs)
    summary = json.loads((folder / "summary.json").read_text())
    assert [part["judged"] for part in summary["parts"]] == [JUDGED, {}]
    html = (folder / "index.html").read_text()
    assert sha256_file(inputs / "judged" / "spline" / "metrics.json") in html


@pytest.mark.parametrize("name", SPECS)
def test_data_of_any_spec_are_shown(inputs: Path, name: str) -> None:
    for folder in ("episodes", "kept", "shards"):
        shutil.rmtree(inputs / folder)
    spec = SPECS[name]
    write_data(inputs, spec)
    folder = make(inputs)
    html = (folder / "index.html").read_text()
    assert f"{spec.action.dim} numbers" in html
    for seen in spec.observations:
        assert f'<td class="text">{seen}</td>' in html
    assert (folder / "figures" / "contact_sheet.png").exists() == bool(spec.images)
    for seen, image in spec.images.items():
        assert f"{seen}, {image.width} by {image.height} pixels" in html


def write_audited(inputs: Path) -> Path:
    """An audit of the prior by the runs' task, and runs that say which prior they learned on."""
    prior = inputs / "prior"
    write_json(prior / "config.json", {})
    hashes = {name: sha256_file(prior / name) for name in ("config.json", "model.safetensors")}
    agent = {"reference_std": 0.5}
    for task, method, seed in WANTED:
        config = {"prior_sha256": hashes, "agent": agent, "environment": {}}
        write_json(inputs / "runs" / task / method / seed / "config.json", config)
    measured = {"log_prob_per_dim": 0.4375, "within": [{"latent_bound": 1.0, "all": 0.125}]}
    acted = {name: {"success_rate": 0.25} for name in ROLLOUTS}
    folder = inputs / "audited"
    folder.mkdir()
    write_json(folder / "config.json", {"prior_sha256": hashes, "params": {"environment": {}}})
    write_json(
        folder / "metrics.json",
        {
            "tasks": {"pick-1": measured},
            "rollouts": {"pick-1": acted},
            "is_training_data": False,
        },
    )
    seal(folder, ["config.json", "metrics.json"])
    return folder


def test_an_audit_stands_beside_what_happened_and_is_named_by_hash(inputs: Path) -> None:
    audited = write_audited(inputs)
    title = "What the audit said, and what happened"
    plain = make(inputs, "plain")
    assert title not in (plain / "index.html").read_text() + (plain / "table.txt").read_text()
    folder = make(inputs, audited=audited)
    html, text = ((folder / name).read_text() for name in ("index.html", "table.txt"))
    for told in (html, text):
        assert title in told
        assert "400 (2 of 2)" in told
    assert sha256_file(audited / "metrics.json") in html
    assert (folder / "figures" / "audited.png").exists()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["audited"]["tasks"] == [
        {
            "task": "pick-1", "log_prob_per_dim": 0.4375, "within": 0.125, "sampled": 0.25,
            "mode": 0.25, "success_rate": 0.9, "num_seeds": 2, "steps_to_50": 300.0,
            "num_reached_50": 2, "steps_to_80": 400.0, "num_reached_80": 2, "others": {"sac": 0.0},
        }
    ]  # fmt: skip
    assert {k: v for k, v in summary.items() if k != "audited"} == json.loads(
        (plain / "summary.json").read_text()
    )


def test_an_audit_of_another_prior_is_refused_and_nothing_is_written(inputs: Path) -> None:
    audited = write_audited(inputs)
    write_json(inputs / "prior" / "config.json", {"params": {}})
    with pytest.raises(UserError, match="audited is an audit of another prior than that of"):
        make(inputs, audited=audited)
    assert not (inputs / "report").exists()


def test_an_untrained_part_is_named_and_nothing_is_written(inputs: Path) -> None:
    (inputs / "parts" / "bc").mkdir(parents=True)
    with pytest.raises(UserError, match=r"parts/bc holds no metrics\.json"):
        make(inputs)
    assert not (inputs / "report").exists()


def test_a_missing_run_is_named(inputs: Path) -> None:
    with pytest.raises(UserError, match="runs/pick-1/parrot/7 is missing"):
        make(inputs, wanted=[*WANTED, ("pick-1", "parrot", "7")])


def test_a_left_over_run_is_named_and_nothing_is_written(inputs: Path) -> None:
    with pytest.raises(UserError, match="runs/pick-1/sac/1 is left over"):
        make(inputs, wanted=WANTED[:-1])
    assert not (inputs / "report").exists()


def test_an_unfinished_run_is_no_run(inputs: Path) -> None:
    (inputs / "runs" / "pick-1" / "sac" / "2.partial").mkdir()
    make(inputs)


@pytest.mark.parametrize(
    "name",
    [
        "prior/history.csv",
        "judged/prior/metrics.json",
        "parts/vae/metrics.json",
        "runs/pick-1/sac/0/metrics.json",
    ],
)
def test_a_changed_input_is_named_and_nothing_is_written(inputs: Path, name: str) -> None:
    write_parts(inputs)
    (inputs / name).write_text((inputs / name).read_text() + " ")
    with pytest.raises(UserError, match=f"{name} was changed after it was written"):
        make(inputs)
    assert not (inputs / "report").exists()


@pytest.mark.parametrize("name", ["prior/metrics.json", "kept/summary.json", "prior/history.csv"])
def test_a_missing_input_is_named(inputs: Path, name: str) -> None:
    (inputs / name).unlink()
    with pytest.raises(UserError, match=name):
        make(inputs)
