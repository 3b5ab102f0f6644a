"""The probe finds what features hold, and nothing where they hold nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parrot_data.errors import UserError
from parrot_models.judging.params import ProbeParams
from parrot_models.judging.probe import (
    ProbeScenes,
    check_probe,
    draw_scenes,
    encoded,
    probe_error,
    probe_errors,
)
from parrot_models.networks.device import CPU
from tests.toy_world import ReachEnv, ToyWorld

PARAMS = ProbeParams(
    array="goal_position", dims=[1], tasks=["reach-near"], scenes=12, max_random_steps=4
)
BOX = (np.full(2, -1.0, np.float32), np.full(2, 1.0, np.float32))


@pytest.fixture
def scenes() -> ProbeScenes:
    """Images whose first two pixels are the target, coarsely."""
    targets = np.random.default_rng(0).uniform(0.0, 0.255, (400, 2))
    images = np.zeros((400, 4, 4, 3), np.uint8)
    images[:, 0, :2, 0] = np.round(targets * 1000)
    return ProbeScenes({"image": images}, targets)


def flat(scenes: ProbeScenes) -> np.ndarray:
    return scenes.observations["image"].reshape(len(scenes.targets), -1)


def test_features_that_hold_the_target_have_no_error(scenes: ProbeScenes) -> None:
    assert probe_error(flat(scenes), scenes.targets) < 0.001


def test_features_that_hold_nothing_err_like_guessing_the_mean(scenes: ProbeScenes) -> None:
    error = probe_error(np.zeros((400, 3)), scenes.targets)
    test = scenes.targets[320:] - scenes.targets[:320].mean(0)
    assert error == pytest.approx(np.linalg.norm(test, axis=1).mean(), rel=1e-3)


def test_features_beyond_the_number_of_scenes_are_solved_alike(scenes: ProbeScenes) -> None:
    narrow = flat(scenes).astype(np.float32)
    noise = np.random.default_rng(1).normal(scale=0.05, size=scenes.targets.shape)
    noisy = scenes.targets + noise
    wide = np.pad(narrow, ((0, 0), (0, 500)))
    assert probe_error(wide, noisy) == pytest.approx(probe_error(narrow, noisy), rel=1e-9)


def test_pixels_and_a_guess_stand_beside_every_encoder(scenes: ProbeScenes) -> None:
    nothing = {"keypoints": lambda scenes: np.empty((len(scenes.targets), 0))}
    errors = probe_errors(scenes, {"all": flat, **nothing})
    assert errors.keys() == {"all", "pixels", "mean_guess"}, "what has no width tells nothing"
    assert errors["pixels"] == pytest.approx(errors["all"], rel=1e-3)
    assert errors["mean_guess"] > errors["pixels"]


def test_large_images_are_encoded_in_chunks_and_told_thinned() -> None:
    rows = 40
    images = np.random.default_rng(0).integers(0, 256, (rows, 300, 400, 3), np.uint8)
    sizes: list[int] = []

    def encode(seen):
        sizes.append(len(seen["image"]))
        return seen["image"][:, 0, 0].float()

    scenes = ProbeScenes({"image": images}, np.zeros((rows, 1)))
    features = encoded(encode, CPU)(scenes)
    assert np.array_equal(features, images[:, 0, 0])
    assert max(sizes) < rows == sum(sizes)
    assert probe_errors(scenes, {})["pixels"] == pytest.approx(0.0)


def test_scenes_are_seen_as_agents_see_them() -> None:
    env = ReachEnv(images={"above": [8, 9]})
    scenes, again = (draw_scenes(env, PARAMS, BOX, seed=3) for _ in range(2))
    assert scenes.observations["above"].shape == (12, 8, 9, 3)
    assert np.array_equal(scenes.targets[:, 0], scenes.observations["goal"][:, 1])
    assert len(np.unique(scenes.targets)) == 12
    assert np.array_equal(scenes.observations["position"], again.observations["position"])
    assert torch.tensor(scenes.observations["position"]).abs().amax() > 0.1, "it has moved"


def test_what_cannot_be_probed_for_is_said() -> None:
    assert check_probe(PARAMS, ToyWorld()) == ""
    missing = PARAMS.model_copy(update={"array": "target_position"})
    assert "it has: goal_position" in check_probe(missing, ToyWorld())
    for changes, words in (
        ({"dims": [0, 2]}, "names 2, but goal_position has 2 numbers"),
        ({"tasks": ["pick-cup"]}, "'pick-cup' is none of the world's tasks"),
    ):
        with pytest.raises(UserError, match=words):
            check_probe(PARAMS.model_copy(update=changes), ToyWorld())


def test_a_target_that_is_no_number_is_refused() -> None:
    env = ReachEnv()
    env.goal = np.array([np.nan, np.nan])
    env.reset = lambda **_: (env._observe(), env._told())  # type: ignore[method-assign]
    env.position = np.zeros(2)
    with pytest.raises(UserError, match="goal_position is not finite at dims"):
        draw_scenes(env, PARAMS.model_copy(update={"max_random_steps": 0}), BOX, seed=0)
