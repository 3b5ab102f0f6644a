"""The page of a prior shows what it does, sampled and at z = 0, beside episodes of the data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from browser import CHROMIUM, browser
from checkout import ROOT
from pydantic import TypeAdapter
from typer.testing import CliRunner

from cli.main import app
from parrot_data.episodes.rollout import episode_seed
from parrot_data.errors import UserError
from parrot_data.merge import MergeParams, merge
from parrot_data.progress import Progress
from parrot_data.stores.manifest import MANIFEST, load_manifest, save_manifest
from parrot_data.stores.publish import sha256_file
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_models.judging.params import JudgeParams
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.view_prior import (
    DEMONSTRATED,
    LIKELIEST,
    SAMPLED,
    SCRIPTED,
    _chosen,
    _of_data,
    view_prior,
)
from tests.parrot_data.synthetic import files_of, synthetic_episodes, write_raw
from tests.parrot_data.viewing.page_data import given_by, numbers, pieces_of, rows_of
from tests.parrot_models.small_priors import small_prior

NUM = 4
TOY = {"name": "tests.toy_world:make_world", "kwargs": {"max_steps": 12}}
SEEN = {**TOY, "kwargs": {"max_steps": 12, "images": {"above": [16, 20]}}}
GYMNASIUM = {
    "name": "gymnasium",
    "tasks": {"reach": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}},
    "success": {"info": "is_success"},
    "max_steps": None,
}
PARAMS = JudgeParams(
    models=["prior"], families=[], seed=3, num_episodes=1, num_demonstrations=1, reach=None,
    probe=None,
)  # fmt: skip


class Shown:
    """An episode as a page tells of it."""

    def __init__(self, row: list[Any], told: dict[str, Any]) -> None:
        self.index, self.facts, self.hash = row[0], told["facts"], told["content_hash"]
        self.arrays = {name: numbers(text) for name, text in told["arrays"].items()}
        self.num_steps = row[4]

    def rows(self, name: str) -> np.ndarray:
        return self.arrays[name].reshape(-1, 2)


def shown_in(page: Path) -> list[Shown]:
    pieces = {key: piece for block in pieces_of(page) for key, piece in block.items()}
    return [Shown(row, pieces[str(at)]) for at, row in enumerate(rows_of(page))]


def by(shown: list[Shown], policy: str) -> list[Shown]:
    return [each for each in shown if each.facts["policy"] == policy]


def environment(values: dict[str, Any]) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python(values)


def save_prior(folder: Path, data: Path, world: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    lineage = {"data_manifest_sha256": sha256_file(data / MANIFEST)}
    small_prior(make_world(environment(world)).spec).save(folder, lineage)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of the toy world, images among them, and a prior of it."""
    folder = tmp_path_factory.mktemp("made")
    world = make_world(environment(SEEN))
    with closing(Demonstrations(world, {"reach-near": 0.7, "reach-far": 0.3}, 0)) as scripts:
        episodes = [scripts.episode(index) for index in range(12)]
    data = write_raw(folder / "data" / "shards", episodes, world.spec)
    manifest = load_manifest(data, "episodes")
    save_manifest(data, manifest.model_copy(update={"params": {"environment": SEEN}}))
    save_prior(folder / "models" / "prior", folder / "data" / "shards", SEEN)
    return folder


@pytest.fixture
def data(made: Path) -> Path:
    return made / "data" / "shards"


@pytest.fixture
def prior(made: Path) -> Path:
    return made / "models" / "prior"


@pytest.fixture(scope="module")
def page(made: Path) -> Path:
    view_prior(
        PARAMS, environment(SEEN), made / "models" / "prior", made / "data" / "shards",
        made / "page", num_episodes=NUM,
    )  # fmt: skip
    return made / "page"


def test_as_many_of_each_policy_and_of_the_data(page: Path) -> None:
    shown, about = shown_in(page), given_by(page / "data" / "dataset.js")
    counts = Counter(each.facts["policy"] for each in shown)
    assert counts == {SAMPLED: NUM, LIKELIEST: NUM, SCRIPTED: NUM}
    assert [each.index for each in shown] == list(range(3 * NUM))
    assert about["num_episodes"] == 3 * NUM
    assert about["grouped_by"] == "policy"
    (facet,) = [facet for facet in about["facts"] if facet["name"] == "policy"]
    assert facet["values"] == sorted([SAMPLED, LIKELIEST, SCRIPTED])
    assert {about["tasks"][row[1]] for row in rows_of(page)} == {
        "near", "far", "reach-near", "reach-far",
    }  # fmt: skip


def test_both_policies_act_in_the_same_scenes_that_no_data_show(page: Path) -> None:
    world = make_world(environment(SEEN))
    sampled, likeliest = (by(shown_in(page), policy) for policy in (SAMPLED, LIKELIEST))
    for one, other in zip(sampled, likeliest, strict=True):
        assert one.facts["scene"] == other.facts["scene"]
        family, _, scene = one.facts["scene"].partition(" ")
        seen, _ = world.unseen(family).reset(seed=episode_seed(PARAMS.seed, int(scene)))
        for each in (one, other):
            assert (each.rows("observation.goal")[0] == seen["goal"]).all()
            assert (each.rows("observation.position")[0] == seen["position"]).all()
        assert (one.rows("actions")[0] != other.rows("actions")[0]).any()
    assert len({each.facts["scene"] for each in sampled}) == NUM
    assert {each.facts["scene"].split()[0] for each in sampled} == set(world.families)


def test_actions_are_the_priors_at_z_of_zero_and_elsewhere(tmp_path: Path, data: Path) -> None:
    """Of vectors alone, so that the page holds all that the prior saw."""
    raw = write_raw(
        tmp_path / "raw", synthetic_episodes(3, spec=make_world(environment(TOY)).spec),
        make_world(environment(TOY)).spec,
    )  # fmt: skip
    folder = save_prior(tmp_path / "prior", data, TOY)
    view_prior(PARAMS, environment(TOY), folder, raw, tmp_path / "page", num_episodes=3)
    shown, prior = shown_in(tmp_path / "page"), BehavioralPrior.load(folder)
    assert len(by(shown, DEMONSTRATED)) == 3
    for policy in (SAMPLED, LIKELIEST):
        for each in by(shown, policy):
            seen = {
                name: torch.from_numpy(each.rows(f"observation.{name}")[:-1].copy())
                for name in ("position", "goal")
            }
            actions = torch.from_numpy(each.rows("actions").copy())
            z = prior.inverse(actions, prior.context(seen)).numpy()
            assert (np.abs(z).max() < 1e-3) == (policy == LIKELIEST)


def test_the_data_s_episodes_are_those_of_the_data(page: Path, data: Path) -> None:
    entries = {entry.index: entry for entry in load_manifest(data, "episodes").entries(data)}
    shown = by(shown_in(page), SCRIPTED)
    chosen = [entries[each.facts["number in the data"]] for each in shown]
    assert [entry.content_hash for entry in chosen] == [each.hash for each in shown]
    assert [entry.num_steps for entry in chosen] == [each.num_steps for each in shown]
    for task in ("reach-near", "reach-far"):
        first = [index for index, entry in entries.items() if entry.task == task][: NUM // 2]
        assert [entry.index for entry in chosen if entry.task == task] == first


def test_the_same_bytes_twice_and_after_an_interruption(
    page: Path, prior: Path, data: Path, tmp_path: Path
) -> None:
    before = files_of(prior)

    def cut_at(at: int) -> Progress:
        def progress(done: int, _total: int, _note: str) -> None:
            if done == at:
                raise KeyboardInterrupt

        return progress

    def again(**changes: Any) -> None:
        params = PARAMS.model_copy(update=changes.pop("params", {}))
        view_prior(
            params, environment(SEEN), prior, data, tmp_path / "page", num_episodes=NUM, **changes
        )

    for at in (3, 2 * NUM + 3):
        with pytest.raises(KeyboardInterrupt):
            again(progress=cut_at(at))
    calls: list[tuple[int, int]] = []
    again(progress=lambda done, total, _note: calls.append((done, total)))
    assert files_of(tmp_path / "page") == files_of(page)
    assert [done for done, _ in calls] == list(range(5 * NUM + 1))
    assert {total for _, total in calls} == {5 * NUM}
    again(params={"seed": 4})
    assert files_of(tmp_path / "page") != files_of(page)
    assert not list(tmp_path.glob("*.partial"))
    assert files_of(prior) == before


def test_a_world_without_families_is_acted_in_at_its_tasks(tmp_path: Path) -> None:
    spec = make_world(environment(GYMNASIUM)).spec
    raw = write_raw(tmp_path / "raw", synthetic_episodes(2, spec=spec), spec)
    folder = save_prior(tmp_path / "prior", raw, GYMNASIUM)
    view_prior(PARAMS, environment(GYMNASIUM), folder, raw, tmp_path / "page", num_episodes=2)
    shown = by(shown_in(tmp_path / "page"), LIKELIEST)
    assert [each.facts["scene"] for each in shown] == ["reach 0", "reach 1"]


def test_what_cannot_be_rolled_out_is_said(prior: Path, data: Path, tmp_path: Path) -> None:
    wide = {**TOY, "kwargs": {"action_dim": 3}}
    spec = make_world(environment(SEEN)).spec
    recorded = write_raw(tmp_path / "raw", synthetic_episodes(2, spec=spec), spec)
    other = make_world(environment(wide)).spec
    of_other = write_raw(tmp_path / "other", synthetic_episodes(2, spec=other), other)
    for world, dataset, words in [
        (wide, recorded, r"raw was recorded elsewhere.*there is nothing to roll it out in"),
        (wide, data, r"prior was trained on other data than the world of section environment"),
        (SEEN, of_other, r"other holds other data than .*prior was trained on"),
    ]:
        with pytest.raises(UserError, match=words):
            view_prior(
                PARAMS, environment(world), prior, dataset, tmp_path / "page", num_episodes=2
            )
        assert not (tmp_path / "page").exists()
        assert not list(tmp_path.glob("*.partial"))


def command(*arguments: str) -> Any:
    world = yaml.safe_dump(SEEN, default_flow_style=True).strip()
    changes = [f"environment={world}", "judge.families=[]", "judge.seed=3"]
    sets = [word for change in changes for word in ("--set", change)]
    params = ["--params", str(ROOT / "params.yaml")]
    return CliRunner().invoke(app, ["view", *arguments, *params, *sets])


def test_the_command_finds_the_shards_beside_the_prior(
    page: Path, prior: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "page")
    done = command(str(prior), "--out", out, "--rollouts", str(NUM))
    assert done.exit_code == 0, done.output
    assert files_of(tmp_path / "page") == files_of(page)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["PRIOR", "--out", "page"], "do not lie in data/shards: name them"),
        (["PRIOR", "--out", "page", "--format", "rerun"], "is a prior, which is shown by a page"),
        (["DATA", "--out", "page", "--rollouts", "3"], "--rollouts is for a prior"),
        (["DATA", "--out", "page", "--data", "DATA"], "--data is for a run or a prior"),
        (["PRIOR", "--out", "PRIOR/page", "--data", "DATA"], "lies in the input"),
    ],
)
def test_what_the_command_cannot_do_is_said(
    prior: Path, data: Path, tmp_path: Path, arguments: list[str], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in prior.iterdir():
        (alone / path.name).write_bytes(path.read_bytes())
    named = [each.replace("PRIOR", str(alone)).replace("DATA", str(data)) for each in arguments]
    done = command(*named)
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (1, True), done.stderr
    assert not (tmp_path / "page").exists()
    assert files_of(alone) == files_of(prior)


@pytest.fixture
def opened(page: Path, tmp_path: Path) -> Iterator[Any]:
    with browser(tmp_path / "profile") as running:
        running.size(1280, 800)
        running.open(page / "index.html")
        yield running
        assert running.complaints == []


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on PATH")
def test_policies_are_filtered_and_played_side_by_side(opened: Any, page: Path) -> None:
    shown = shown_in(page)
    first = by(shown, LIKELIEST)[0]
    beside = next(e for e in by(shown, SAMPLED) if e.facts["scene"] == first.facts["scene"])
    table = opened.evaluate(
        "[...document.querySelectorAll('#task-table tbody th')].map((e) => e.textContent)"
    )
    assert table == sorted([SAMPLED, LIKELIEST, SCRIPTED])
    opened.evaluate(
        f"[...document.querySelectorAll('#task-table button')].find((each) =>"
        f" each.textContent === {json.dumps(LIKELIEST)}).click()"
    )
    cards = opened.evaluate("[...document.querySelectorAll('.card')].map((c) => c.textContent)")
    assert len(cards) == NUM
    assert all(LIKELIEST in card for card in cards)
    opened.evaluate(f"parrot.openEpisode(parrot.rows[{first.index}])")
    opened.wait("document.querySelector('#episode').dataset.state === 'open'")
    opened.evaluate("document.querySelector('#keep').click()")
    opened.evaluate(f"parrot.openEpisode(parrot.rows[{beside.index}])")
    opened.wait("document.querySelector('#episode').dataset.state === 'open'")
    opened.press("End")
    last = {first.index: first.num_steps, beside.index: beside.num_steps}
    wanted = [[str(index), str(last[index])] for index in (beside.index, first.index)]
    opened.wait(
        "JSON.stringify([...document.querySelectorAll('#cameras figure')].map((each) =>"
        " [each.dataset.episode, each.querySelector('canvas').dataset.step]))"
        f" === {json.dumps(json.dumps(wanted, separators=(',', ':')))}"
    )
    assert int(opened.evaluate("document.querySelector('#scrub').value")) == max(last.values())
    opened.evaluate("document.querySelector('#keep').click()")
    opened.wait("document.querySelectorAll('#cameras figure').length === 1")


def test_of_merged_data_that_repeat_an_index_each_episode_is_itself(tmp_path: Path) -> None:
    sources = [
        write_raw(tmp_path / str(seed), synthetic_episodes(6, seed), seed=seed) for seed in (0, 1)
    ]
    merge(MergeParams(duplicates="refuse"), sources, tmp_path / "both")
    manifest = load_manifest(tmp_path / "both", "episodes")
    chosen = _chosen(manifest, tmp_path / "both", 12)
    shown = list(_of_data(tmp_path / "both", manifest, chosen))
    assert len(shown) == 12
    assert all(entry.content_hash == episode.content_hash() for entry, episode in shown)
