"""All of params.yaml against what its stages take: known to the first command that reads it.

A mistake in a section that a later stage reads would cost the time of all stages before it. Models
of params lie in modules of their own, so that this imports no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parrot_data.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from parrot_data.filter import FilterParams
    from parrot_data.worlds.tabletop.params import EnvironmentParams
    from parrot_data.worlds.tabletop.scripts.params import GenerateParams
    from parrot_models.baselines.params import PretrainParams
    from parrot_models.prior.params import TrainPriorParams
    from parrot_models.rl.params import FinetuneParams
    from parrot_models.training.keypoint_params import KeypointParams


def models() -> dict[str, type[BaseModel]]:
    """The params model of every section, in the pipeline's order."""
    from parrot_data.filter import FilterParams
    from parrot_data.stores.shard_params import ShardParams
    from parrot_data.worlds.tabletop.params import EnvironmentParams
    from parrot_data.worlds.tabletop.scripts.params import GenerateParams
    from parrot_models.baselines.params import PretrainParams
    from parrot_models.judging.params import ExploreParams
    from parrot_models.prior.params import TrainPriorParams
    from parrot_models.report_page.params import ReportParams, StudyParams
    from parrot_models.rl.params import EvaluateParams, FinetuneParams
    from parrot_models.training.keypoint_params import KeypointParams

    return {
        "environment": EnvironmentParams,
        "generate": GenerateParams,
        "filter": FilterParams,
        "shard": ShardParams,
        "keypoints": KeypointParams,
        "train_prior": TrainPriorParams,
        "pretrain": PretrainParams,
        "finetune": FinetuneParams,
        "evaluate": EvaluateParams,
        "explore": ExploreParams,
        "report": ReportParams,
        "study": StudyParams,
    }


@dataclass(frozen=True)
class Together:
    """The sections that have to agree with each other."""

    environment: EnvironmentParams
    generate: GenerateParams
    filter: FilterParams
    keypoints: KeypointParams
    train_prior: TrainPriorParams
    pretrain: PretrainParams
    finetune: FinetuneParams


def check_together(sections: Together, available: int | None = None) -> None:
    """See that sections agree, and that what they ask for fits into memory.

    What is pre-trained for no method of the matrix is not looked at.

    Args:
        sections: each valid by itself.
        available: bytes of memory; this machine's by default.

    Raises:
        UserError: they do not agree, or it does not fit.
    """
    from parrot_data.machine import check_memory

    _check_families(sections.generate, sections.filter)
    _check_encoders(sections)
    if "trajectories" in sections.finetune.parts:
        chunk = sections.pretrain.trajectories.chunk_steps
        if sections.environment.episode_steps % chunk:
            raise UserError(
                f"pretrain.trajectories.chunk_steps of {chunk} does not divide "
                f"environment.episode_steps of {sections.environment.episode_steps}: correct either"
            )
    for key, value, num_bytes in _needs(sections):
        check_memory(key, value, num_bytes, available)


def _check_families(generate: GenerateParams, filter_: FilterParams) -> None:
    from parrot_data.worlds.tabletop.tasks import TASKS

    made = {
        TASKS[name].family if name in TASKS else name
        for name, weight in generate.families.items()
        if weight > 0
    }
    for family in filter_.families:
        if family not in made:
            raise UserError(
                f"filter.families names {family!r}, but generate.families makes only "
                f"{', '.join(sorted(made))}: correct either"
            )


def _check_encoders(sections: Together) -> None:
    if sections.environment.proprioception:
        return
    encoders = {"train_prior": sections.train_prior.encoder} | {
        f"pretrain.{part}": getattr(sections.pretrain, part).encoder
        for part in sections.finetune.parts
        if hasattr(getattr(sections.pretrain, part), "encoder")
    }
    for key, encoder in encoders.items():
        if encoder == "foveal":
            raise UserError(
                f"{key}.encoder is foveal, which needs environment.proprioception, and that is "
                "false: set it to true, or the encoder to fast or paper"
            )


def _needs(sections: Together) -> Iterator[tuple[str, int, int]]:
    """Key, value and the least bytes of what is kept in memory at once."""
    image = 3 * sections.environment.image_size**2  # bytes, of one
    finetune, pretrain = sections.finetune, sections.pretrain
    # A slot of the replay buffer: an action, a reward, a discount and what is observed, which is
    # three numbers a keypoint at least
    seen = 12 * sections.keypoints.num_keypoints
    if "vae_features" in finetune.methods:
        seen = min(seen, 4 * pretrain.vae.latent_dim)
    slot = 4 + 8 + 8 + (image if finetune.agent.observe == "image" else seen)
    yield "finetune.replay_capacity", finetune.replay_capacity, finetune.replay_capacity * slot
    yield "finetune.batch_size", finetune.batch_size, finetune.batch_size * slot
    # A batch of pictures as floats
    batches = {
        "keypoints": sections.keypoints.batch_size,
        "train_prior": sections.train_prior.batch_size,
    }
    batches |= {f"pretrain.{part}": getattr(pretrain, part).batch_size for part in finetune.parts}
    for name, size in batches.items():
        yield f"{name}.batch_size", size, 4 * image * size
    # Layers, with their gradients and the two moments of Adam
    hidden: dict[str, tuple[list[int], int]] = {
        "finetune.agent.hidden": (finetune.agent.hidden, 3),
        "train_prior.hidden": (sections.train_prior.hidden, sections.train_prior.num_layers),
    }
    for name, (widths, copies) in hidden.items():
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        yield name, max(widths), 4 * 4 * copies * weights


def together(sections: Mapping[str, BaseModel]) -> Together:
    """Those of the valid sections that have to agree."""
    return Together(**{name: sections[name] for name in Together.__annotations__})  # type: ignore[arg-type]
