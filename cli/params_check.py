"""All of params.yaml against what its stages take: known to the first command that reads it.

A mistake in a section that a later stage reads would cost the time of all stages before it. Models
of params lie in modules of their own, so that this imports no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.params_errors import short
from parrot_data.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from parrot_data.filter import FilterParams
    from parrot_data.generate_params import GenerateParams
    from parrot_data.worlds.params import EnvironmentParams
    from parrot_models.auditing.params import AuditParams
    from parrot_models.baselines.params import PretrainParams
    from parrot_models.judging.params import ExploreParams, JudgeParams
    from parrot_models.methods.params import FinetuneParams
    from parrot_models.prior.params import TrainPriorParams
    from parrot_models.report_page.params import StudyParams
    from parrot_models.training.params import KeypointParams


def models() -> dict[str, Any]:
    """The params model of every section, or the models it is one of, in the pipeline's order."""
    from parrot_data.filter import FilterParams
    from parrot_data.generate_params import GenerateParams
    from parrot_data.stores.shard_params import ShardParams
    from parrot_data.worlds.params import EnvironmentParams
    from parrot_models.auditing.params import AuditParams
    from parrot_models.baselines.params import PretrainParams
    from parrot_models.filming.params import FilmParams
    from parrot_models.judging.params import ExploreParams, JudgeParams
    from parrot_models.methods.params import EvaluateParams, FinetuneParams
    from parrot_models.prior.params import TrainPriorParams
    from parrot_models.report_page.params import ReportParams, StudyParams
    from parrot_models.training.params import KeypointParams

    return {
        "environment": EnvironmentParams,
        "generate": GenerateParams,
        "filter": FilterParams,
        "shard": ShardParams,
        "keypoints": KeypointParams,
        "train_prior": TrainPriorParams,
        "pretrain": PretrainParams,
        "judge": JudgeParams,
        "finetune": FinetuneParams,
        "evaluate": EvaluateParams,
        "film": FilmParams,
        "explore": ExploreParams,
        "audit": AuditParams,
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
    judge: JudgeParams
    finetune: FinetuneParams
    explore: ExploreParams
    audit: AuditParams
    study: StudyParams | None


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

    _check_generated(sections.generate, sections.filter)
    _check_tasks(sections)
    _check_judged(sections)
    _check_encoders(sections)
    for key, value, num_bytes in _needs(sections):
        check_memory(key, value, num_bytes, available)


def _check_generated(generate: GenerateParams, filter_: FilterParams) -> None:
    made = sorted(name for name, weight in generate.tasks.items() if weight > 0)
    for task in filter_.tasks:
        if task not in made:
            raise UserError(
                f"filter.tasks names {task!r}, but generate.tasks makes only {', '.join(made)}: "
                "correct either"
            )


def _check_tasks(sections: Together) -> None:
    """Names of tasks against the world's; of a user's own world they are known once it is made."""
    from parrot_data.worlds.params import names_in

    known, probe = names_in(sections.environment), sections.judge.probe
    if known is None:
        return
    tasks, families = known.tasks, known.families
    named: list[tuple[str, Collection[str], Collection[str]]] = [
        ("finetune.tasks", sections.finetune.tasks, tasks),
        ("judge.families", sections.judge.families, families),
        ("explore.families", sections.explore.families, families),
        ("audit.tasks", sections.audit.tasks, tasks),
        ("judge.probe.tasks", probe.tasks if probe else (), tasks),
    ]
    if sections.study is not None:
        named.append(("study.tasks", sections.study.tasks, tasks))
    # Where a world demonstrates nothing its data come from elsewhere
    if known.demonstrated:
        named.append(("generate.tasks", sections.generate.tasks, known.demonstrated))
    world = f"the world {sections.environment.name}"
    for key, names, there in named:
        for name in names:
            if name not in there:
                raise UserError(
                    f"{key} names {short(name)}, and {world} has only "
                    f"{', '.join(there) or 'none'}: correct it"
                )


def _check_judged(sections: Together) -> None:
    made = {"prior", *sections.finetune.flows, *sections.finetune.parts}
    for name in sections.judge.models:
        if name not in made:
            raise UserError(
                f"judge.models names {name!r}, which nothing trains: name prior, or add it to "
                "finetune.parts or finetune.flows"
            )


def _check_encoders(sections: Together) -> None:
    from parrot_data.worlds.tabletop.params import TabletopParams

    world = sections.environment
    if not isinstance(world, TabletopParams):
        return  # what a world shows is known to its data alone
    for key, part in _parts_with_encoders(sections):
        if part.encoder.kind == "vector":
            raise UserError(
                f"{key}.encoder.kind is vector, which sees no image, and the tabletop shows one: "
                "write foveal, fast or paper"
            )
        if part.encoder.kind == "foveal" and not world.proprioception:
            raise UserError(
                f"{key}.encoder.kind is foveal, which needs environment.proprioception, and that "
                "is false: set it to true, or the encoder's kind to foveal_predicted, fast or paper"
            )
        if part.encoder.kind == "foveal_predicted" and world.proprioception:
            raise UserError(
                f"{key}.encoder.kind is foveal_predicted, which guesses what "
                "environment.proprioception tells, and that is true: set it to false, or the "
                "encoder's kind to foveal"
            )


def _parts_with_encoders(sections: Together) -> Iterator[tuple[str, Any]]:
    yield "train_prior", sections.train_prior
    for name in sections.finetune.parts:
        part = getattr(sections.pretrain, name)
        if hasattr(part, "encoder"):
            yield f"pretrain.{name}", part


def _needs(sections: Together) -> Iterator[tuple[str, int, int]]:
    """Key, value and the least bytes of what is kept in memory at once."""
    image = _image_bytes(sections.environment)
    finetune, pretrain = sections.finetune, sections.pretrain
    # A slot of the replay buffer: an action, a reward, a discount and what is observed, which is
    # three numbers a keypoint at least
    keypoints = sections.keypoints
    seen = 12 * keypoints.num_keypoints if keypoints.kind != "none" else 4
    if "vae_features" in finetune.methods:
        seen = min(seen, 4 * pretrain.vae.latent_dim)
    slot = 4 + 8 + 8 + (image if finetune.agent.observe == "image" else seen)
    yield "finetune.replay_capacity", finetune.replay_capacity, finetune.replay_capacity * slot
    yield "finetune.batch_size", finetune.batch_size, finetune.batch_size * slot
    # A batch of images as floats
    batches = {"train_prior": sections.train_prior.batch_size}
    if keypoints.kind != "none":
        batches["keypoints"] = keypoints.batch_size
    batches |= {f"pretrain.{part}": getattr(pretrain, part).batch_size for part in finetune.parts}
    for key, trained in _parts_with_encoders(sections):
        if trained.encoder.kind == "foveal_predicted":
            batches[f"{key}.encoder.pose"] = trained.encoder.pose.batch_size
    for name, size in batches.items():
        yield f"{name}.batch_size", size, 4 * image * size
    # Layers, with their gradients and the two moments of Adam
    flows = sections.train_prior.flows
    hidden: dict[str, tuple[list[int], int]] = {
        "finetune.agent.hidden": (finetune.agent.hidden, 3),
        "train_prior.flows.affine.hidden": (flows.affine.hidden, flows.affine.num_layers),
        "train_prior.flows.spline.hidden": (flows.spline.hidden, flows.spline.num_layers),
        "train_prior.flows.matching.hidden": (flows.matching.hidden, 2),
    }
    for name, (widths, copies) in hidden.items():
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        yield name, max(widths), 4 * 4 * copies * weights


def _image_bytes(environment: EnvironmentParams) -> int:
    """Of one image; 0 where the world's are known to its data alone."""
    return 3 * int(getattr(environment, "image_size", 0) or 0) ** 2


def together(sections: Mapping[str, BaseModel]) -> Together:
    """Those of the valid sections that have to agree."""
    return Together(**{name: sections.get(name) for name in Together.__annotations__})  # type: ignore[arg-type]
