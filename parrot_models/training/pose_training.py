"""How a pose head learns where the tool is: from what the data know and no policy sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.progress import Progress, Scalars, unheard
from parrot_data.streams import generator
from parrot_models.networks.chance import torch_seed
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.device import CPU, to_device
from parrot_models.networks.params import EncoderParams, PredictedFovealParams
from parrot_models.networks.pose_head import PoseHead
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import Augmentation
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.params import TrainingParams

NUM_INIT = 4096  # transitions that initialise mean images and the scale of positions
MEASURED_BATCH = 1024


def fit_pose(
    params: EncoderParams,
    beside: TrainingParams,
    model: ContextModel,
    augmentation: Augmentation,
    batches: Batches,
    work: Path,
    progress: Progress,
    device: torch.device = CPU,
    scalars: Scalars = unheard,
) -> None:
    """Train a model's pose head and freeze it, resuming from the work folder; nothing without one.

    It comes before the model's own training, which looks where the head says from its first step
    on. The head follows from data, seed, augmentation and params alone, as keypoints do.

    Args:
        params: of the model's encoder.
        beside: the params of the model's training, which the head shares: seed, precision, gradient
            clip and checkpoints.
        model: whose head gets the weights.
        augmentation: what is done to the batches, without backdrops.
        batches: the data.
        work: folder of the checkpoint.
        progress: called after every step.
        device: where to train.
        scalars: see `fit`.

    Raises:
        UserError: positions are not finite, or training diverged.
    """
    if model.pose is None or not isinstance(params, PredictedFovealParams):
        return
    pose, told = params.pose, told_tool(batches)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(beside.seed, "pose: weights"))
        head = PoseHead(batches.spec.images, pose.width)
    rows = batches.draw_rows(NUM_INIT, generator(beside.seed, "pose: first batch"))
    some = _seen(batches, told, rows)
    head.init_from_data(some, _positions(batches, some))
    painting = augmentation.informed_by(some)
    head.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    ranks = batches.ranks

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(beside.seed, "pose: step", step)
        seen = _seen(batches, told, batches.share_rows(step, pose.batch_size, rng))
        rng = ranks.own(rng)
        seen = painting.colored(painting.mirrored(seen), rng)
        here = {name: to_device(values, device) for name, values in seen.items()}
        with layers_in(beside.precision, device):
            return head.loss(here, _positions(batches, here))

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, pose.steps, f"pose, loss {loss:.4f}")

    schedule = schedule_of(beside, pose.steps, pose.learning_rate)
    checkpoint = work / "pose.checkpoint"
    weights = list(head.parameters())
    fit(head, weights, loss_at, schedule, checkpoint, after_step, scalars=scalars, ranks=ranks)
    model.pose.load_state_dict(head.state_dict())
    model.pose.requires_grad_(False)


@torch.inference_mode()
def pose_metrics(head: PoseHead | None, batches: Batches) -> dict[str, float]:
    """How far off a trained head is on held-out episodes; nothing without one.

    Returns:
        pose_error_m: mean distance between the tool and where the head says that it is.
    """
    if head is None:
        return {}
    told, rows, device = told_tool(batches), batches.held_out_rows, head.mean.device
    errors = []
    for start in range(0, len(rows), MEASURED_BATCH):
        seen = _seen(batches, told, rows[start : start + MEASURED_BATCH])
        here = {name: to_device(values, device) for name, values in seen.items()}
        errors.append((head(here) - _positions(batches, here)).norm(dim=-1))
    return {"pose_error_m": float(torch.cat(errors).mean())}


def told_tool(batches: Batches) -> NDArray[np.float32]:
    """The privileged array that tells the tool's position, of all transitions: (N, D).

    Raises:
        ValueError: the spec names none.
        UserError: a position in it is not finite.
    """
    tool = batches.spec.tool
    if tool is None:
        raise ValueError("the spec does not say where the tool's position is told")
    told = batches.privileged(tool.vector).astype(np.float32)
    if not np.isfinite(told[:, tool.position]).all():
        raise UserError(
            f"the privileged array {tool.vector}, which tells the tool's position, holds a number "
            "that is not finite: drop the episode, or mend what recorded it"
        )
    return told


def _seen(
    batches: Batches, told: NDArray[np.float32], rows: NDArray[np.int64]
) -> dict[str, torch.Tensor]:
    """Images of some transitions by name, and beside them what tells the tool, (B, D)."""
    images = batches.transitions.gather_observations(rows, batches.spec.images)
    assert batches.spec.tool is not None
    return {**images, batches.spec.tool.vector: torch.from_numpy(told[rows])}


def _positions(batches: Batches, seen: dict[str, torch.Tensor]) -> torch.Tensor:
    tool = batches.spec.tool
    assert tool is not None
    return seen[tool.vector][:, tool.position]
