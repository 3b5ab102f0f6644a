"""A pose head learns where the images show the tool, and is the same however it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.params import FovealParams, PredictedFovealParams
from parrot_models.networks.pose_head import PoseHead
from parrot_models.training import pose_training
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.params import Memmap, TrainingParams
from parrot_models.training.pose_training import fit_pose, pose_metrics
from parrot_models.training.transitions import load_privileged
from tests.specs import HIDDEN_TOOL, IMAGES_ALONE, TABLETOP_LIKE

SIDE, SPOT, STEP_M = 24, 4, 0.03  # of image and spot, pixels; m a pixel
FARTHEST = (SIDE - SPOT) // 2  # pixels from the middle
BESIDE = TrainingParams(
    seed=0, source=Memmap(kind="memmap"),
    held_out_fraction=0.25, augment=["mirror"], observation_noise=0.0, precision="fp32",
    gradient_clip=1.0, log_every=4, checkpoint_every=2, steps=10, batch_size=4,
    learning_rate=1e-3,
)  # fmt: skip


def params(**changes: object) -> PredictedFovealParams:
    pose = {"width": 4, "steps": 6, "batch_size": 8, "learning_rate": 3e-3, **changes}
    return PredictedFovealParams.model_validate(
        {"kind": "foveal_predicted", "feature_dim": 6, "window_dim": 0, "pose": pose}
    )


def shown(index: int, num_steps: int) -> Episode:
    """A spot moves over a grey table; its place, in m, is what no policy may see."""
    rng = np.random.default_rng([3, index])
    pixels = rng.integers(-FARTHEST, FARTHEST + 1, (num_steps + 1, 2))
    images = np.full((num_steps + 1, SIDE, SIDE, 3), 90, np.uint8)
    for image, (across, down) in zip(images, pixels + FARTHEST, strict=True):
        image[down : down + SPOT, across : across + SPOT] = 240
    told = np.full((num_steps + 1, 4), 0.2, np.float32)
    told[:, 1:3] = STEP_M * pixels
    return Episode(
        index=index, task="reach", success=True, failure="", terminated=False,
        observations={"image": images}, actions=rng.uniform(-1, 1, (num_steps, 3)).astype("f4"),
        rewards=np.zeros(num_steps, np.float32), privileged={HIDDEN_TOOL: told},
    )  # fmt: skip


def spots(images: torch.Tensor) -> torch.Tensor:
    """Where images (B, H, W, 3) show the spot, x and y in m."""
    is_spot = (images[..., 0] != 90).float()
    places = STEP_M * (torch.arange(SIDE) - (SIDE - 1) / 2)
    mass = is_spot.sum((1, 2))
    return torch.stack(
        [(is_spot.sum(1) * places).sum(1) / mass, (is_spot.sum(2) * places).sum(1) / mass], 1
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    episodes = [shown(index, 30) for index in range(8)]
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes, IMAGES_ALONE)


@pytest.fixture(scope="module")
def batches(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransitionBatches]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_training, "NUM_INIT", 64)
        cache = tmp_path_factory.mktemp("cache")
        yield TransitionBatches(data, cache, BESIDE.held_out_fraction)


def fitted(
    batches: TransitionBatches,
    work: Path,
    progress: Progress = silent,
    encoder: PredictedFovealParams | None = None,
    **changes: object,
) -> PoseHead:
    work.mkdir(exist_ok=True)
    encoder, beside = encoder or params(), BESIDE.model_copy(update=changes)
    architecture = ContextArchitecture(spec=IMAGES_ALONE, encoder=encoder, context_dim=4)
    model = ContextModel(architecture, "train_prior")
    augmentation = augmentation_of(beside.augment, IMAGES_ALONE, "train_prior")
    fit_pose(encoder, beside, model, augmentation, batches, work, progress)
    assert model.pose is not None
    assert not any(weight.requires_grad for weight in model.pose.parameters())
    return model.pose


def are_same(one: PoseHead, other: PoseHead) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(values, theirs[name]) for name, values in one.state_dict().items())


def test_the_privileged_array_is_that_of_the_transitions(data, batches) -> None:
    told = load_privileged(data, HIDDEN_TOOL)
    images = torch.from_numpy(np.array(batches.transitions.observations["image"]))
    assert told.shape == (len(images), 4)
    torch.testing.assert_close(torch.from_numpy(told[:, 1:3].copy()), spots(images))


def test_every_augmented_image_shows_its_target(batches, tmp_path, monkeypatch) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    learn = PoseHead.loss

    def loss(self: PoseHead, observations, positions) -> torch.Tensor:
        seen.append((spots(observations["image"]), positions))
        return learn(self, observations, positions)

    monkeypatch.setattr(PoseHead, "loss", loss)
    fitted(batches, tmp_path / "mirrored")
    mirrored = seen.copy()
    seen.clear()
    assert len(mirrored) == 6
    for shown_at, positions in mirrored:
        torch.testing.assert_close(positions[:, :2], shown_at)
    fitted(batches, tmp_path / "painted", augment=["mirror", "colors"])
    for (_, positions), (_, its) in zip(mirrored, seen, strict=True):  # paint moves nothing
        assert torch.equal(positions, its)


def test_it_learns_where_the_tool_is(batches, tmp_path) -> None:
    head = fitted(
        batches, tmp_path / "work", encoder=params(steps=200, batch_size=32), checkpoint_every=100
    )
    told = batches.privileged(HIDDEN_TOOL)[batches.held_out_rows, 1:]
    spread = float(np.linalg.norm(told - told.mean(0), axis=1).mean())
    assert pose_metrics(head, batches)["pose_error_m"] < 0.3 * spread


def test_it_does_not_depend_on_what_stands_beside_it(batches, tmp_path) -> None:
    torch.manual_seed(1)
    one = fitted(batches, tmp_path / "one")
    torch.manual_seed(2)
    other = fitted(batches, tmp_path / "other", steps=99, learning_rate=1.0, batch_size=2)
    assert are_same(one, other)
    assert not are_same(one, fitted(batches, tmp_path / "third", seed=1))


def test_a_kill_changes_nothing(batches, tmp_path) -> None:
    def killed(done: int, _total: int, _note: str) -> None:
        if done == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(batches, tmp_path / "killed", killed)
    steps: list[int] = []
    resumed = fitted(batches, tmp_path / "killed", lambda done, _total, _note: steps.append(done))
    assert steps == [3, 4, 5, 6]
    assert are_same(resumed, fitted(batches, tmp_path / "whole"))


def test_where_the_tool_is_told_nothing_is_trained_or_measured(batches, tmp_path) -> None:
    encoder = FovealParams(kind="foveal", feature_dim=6, window_dim=0)
    architecture = ContextArchitecture(spec=TABLETOP_LIKE, encoder=encoder, context_dim=4)
    model = ContextModel(architecture, "train_prior")
    augmentation = augmentation_of([], TABLETOP_LIKE, "train_prior")
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    fit_pose(encoder, BESIDE, model, augmentation, batches, tmp_path, silent)
    assert torch.equal(torch.rand(3), expected)
    assert not any(tmp_path.iterdir())
    assert pose_metrics(model.pose, batches) == {}


def test_positions_that_are_no_numbers_are_named(tmp_path) -> None:
    episodes = [shown(index, 5) for index in range(3)]
    episodes[1].privileged[HIDDEN_TOOL][2, 1] = np.nan
    data = write_shards(tmp_path / "shards", episodes, IMAGES_ALONE)
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    with pytest.raises(UserError, match=r"privileged array pose.*not finite"):
        fitted(batches, tmp_path / "work")
