"""Laws of the stage: the same scenes for all, what is counted is what happened, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import ROOT, TINY, changed
from PIL import Image, ImageSequence

from parrot_data.errors import UserError
from parrot_data.worlds.params import OwnWorldParams
from parrot_models.evaluate import evaluate
from parrot_models.film import FilmParams, film
from parrot_models.filming.panels import BAR, FRAME, GAP
from parrot_models.finetune import FinetuneParams, finetune
from parrot_models.methods.params import EvaluateParams
from parrot_models.methods.table import METHODS
from tests.parrot_models.small_parts import save_part
from tests.toy_world import make_world

TASK, NUM_EPISODES, MAX_STEPS = "reach-near", 3, 12
HEIGHT = 64  # what the world shows
ENVIRONMENT = OwnWorldParams(
    name="tests.toy_world:make_world", kwargs={"max_steps": MAX_STEPS, "action_dim": 2}
)
WITH_PRIOR, WITHOUT = "parrot", "sac"


def params(**changes: int) -> FilmParams:
    values = {
        "seed": 7, "num_episodes": NUM_EPISODES, "height": HEIGHT, "max_frames": MAX_STEPS,
        "frame_ms": 50, "hold_ms": 500, "num_colors": 64, "max_kilobytes": 500,
    }  # fmt: skip
    return FilmParams.model_validate(values | changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a method that begins with a prior, and of one that does not."""
    folder, spec = tmp_path_factory.mktemp("film"), make_world(**ENVIRONMENT.kwargs).spec
    evaluation = EvaluateParams(seed=7, num_episodes=1)
    values = changed(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)["finetune"]
    values |= {"tasks": [TASK], "env_steps": 60, "warmup_steps": 20, "video_episodes": 0}
    values["agent"] |= {"hidden": [16]}
    for method in (WITH_PRIOR, WITHOUT):
        part = METHODS[method].part.name
        if not (folder / part).exists():
            save_part(part, spec, folder / part)
        finetune(
            FinetuneParams.model_validate(values), evaluation, ENVIRONMENT, folder / part, TASK,
            method, 0, folder / "runs" / method,
        )  # fmt: skip
    return folder / "runs"


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as opened:
        return [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]


def panels_of(frame: np.ndarray) -> list[np.ndarray]:
    """Images of all policies, without the frame that marks success."""
    num = (frame.shape[1] + GAP) // (HEIGHT + GAP)
    lefts = [index * (HEIGHT + GAP) for index in range(num)]
    inside = slice(FRAME, HEIGHT - FRAME)
    return [frame[BAR:, left : left + HEIGHT][inside, inside] for left in lefts]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_film_comes_out_again_and_the_run_stays(runs: Path, tmp_path: Path) -> None:
    before = content(runs / WITH_PRIOR)
    made = [film(params(), runs / WITH_PRIOR, tmp_path / name) for name in ("a.gif", "b.gif")]
    assert made[0] == made[1]
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert content(runs / WITH_PRIOR) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]


def test_a_prior_is_filmed_where_there_is_one(runs: Path, tmp_path: Path) -> None:
    captions = {}
    for method in (WITH_PRIOR, WITHOUT):
        made = film(params(), runs / method, tmp_path / f"{method}.gif")
        captions[method] = list(made["successes"])
        assert len(panels_of(frames_of(tmp_path / f"{method}.gif")[0])) == len(captions[method])
    assert captions[WITH_PRIOR][:2] == ["random actions", "prior before learning"]
    assert captions[WITHOUT][:1] == ["random actions"]
    assert [len(captions[method]) for method in (WITH_PRIOR, WITHOUT)] == [3, 2]


def test_every_policy_begins_in_the_same_scene_and_goes_its_own_way(
    runs: Path, tmp_path: Path
) -> None:
    for seed in range(3):
        out = tmp_path / f"{seed}.gif"
        film(params(num_episodes=1, seed=seed), runs / WITH_PRIOR, out)
        frames = frames_of(out)
        first, *others = panels_of(frames[0])
        assert all(np.array_equal(first, other) for other in others)
        later = panels_of(frames[3])
        assert not np.array_equal(later[0], later[1])
        assert not np.array_equal(later[1], later[2])


def test_what_is_counted_is_what_evaluate_finds(runs: Path, tmp_path: Path) -> None:
    made = film(params(num_episodes=6, seed=3), runs / WITH_PRIOR, tmp_path / "film.gif")
    found = evaluate(EvaluateParams(seed=3, num_episodes=6), runs / WITH_PRIOR)
    *_, agent = made["successes"].values()
    assert agent == round(6 * found["success_rate"])


def test_a_long_episode_is_shown_in_fewer_frames_that_begin_and_end_alike(
    runs: Path, tmp_path: Path
) -> None:
    shown = {}
    for most in (MAX_STEPS, 4):
        out = tmp_path / f"{most}.gif"
        made = film(params(num_episodes=1, max_frames=most), runs / WITH_PRIOR, out)
        shown[most] = (made["num_frames"], frames_of(out))
    assert shown[4][0] <= 4 + 2 < shown[MAX_STEPS][0]
    for end in (0, -1):
        few, many = (frames[end].astype(int) for _, frames in (shown[4], shown[MAX_STEPS]))
        np.testing.assert_allclose(few, many, atol=4)  # palettes of their own


def test_another_height_is_that_of_every_panel(runs: Path, tmp_path: Path) -> None:
    film(params(num_episodes=1, height=100), runs / WITH_PRIOR, tmp_path / "film.gif")
    assert frames_of(tmp_path / "film.gif")[0].shape == (BAR + 100, 3 * 100 + 2 * GAP, 3)


def test_a_film_is_never_larger_than_it_may_be(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.gif"
    whole = film(params(num_colors=256), runs / WITH_PRIOR, out)["kilobytes"]
    film(params(num_colors=256, max_kilobytes=whole - 1), runs / WITH_PRIOR, out)
    assert out.stat().st_size <= 1000 * (whole - 1)
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"film\.max_kilobytes is 1:"):
        film(params(max_kilobytes=1), runs / WITH_PRIOR, out)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_only_a_film_is_replaced(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.gif"
    film(params(num_episodes=1), runs / WITH_PRIOR, out)
    film(params(num_episodes=1), runs / WITHOUT, out)
    mine = tmp_path / "mine.gif"
    Image.new("RGB", (8, 8)).save(mine)
    before = mine.read_bytes()
    with pytest.raises(UserError, match="no output of `parrot film`"):
        film(params(), runs / WITH_PRIOR, mine)
    assert mine.read_bytes() == before


def test_a_world_that_shows_nothing_is_one_sentence(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.toy_world.ReachEnv.render", lambda _env: None)
    with pytest.raises(UserError, match="no RGB images to film"):
        film(params(), runs / WITH_PRIOR, tmp_path / "film.gif")
    assert list(tmp_path.iterdir()) == []
