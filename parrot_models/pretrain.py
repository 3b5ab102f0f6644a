"""Stage `pretrain`: what a baseline learns from the shards before it learns a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import Progress, Scalars, silent, unheard
from parrot_data.stores.outputs.layout import output_of
from parrot_models.baselines.bc_training import BEHAVIOR_CLONING
from parrot_models.baselines.options_training import OPTIONS
from parrot_models.baselines.params import ContextParams, PretrainParams
from parrot_models.baselines.pretraining import Pretraining, with_sight
from parrot_models.baselines.trajectories_training import TRAJECTORIES
from parrot_models.baselines.vae_training import BETA_VAE
from parrot_models.networks.stored import CONFIG
from parrot_models.training.augment import augmentation_of
from parrot_models.training.card_page import card_page, keypoints_fact, pose_facts, sees_fact
from parrot_models.training.params import KeypointParams, TrainingParams
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.splitting import check_batches
from parrot_models.training.trained_folder import SCRATCH, WRITTEN, write_trained

METHODS: dict[str, Pretraining[Any, Any]] = {
    "bc": BEHAVIOR_CLONING,
    "vae": BETA_VAE,
    "trajectories": TRAJECTORIES,
    "options": OPTIONS,
}


OUTPUT = output_of(
    "pretrain", CONFIG, keys=("architecture", "method", "params.pretrain"),
    files=("*.safetensors", "reconstructions.png", *WRITTEN), scratch=SCRATCH,
)  # fmt: skip

__all__ = ["METHODS", "KeypointParams", "PretrainParams", "pretrain"]


def pretrain(
    params: PretrainParams,
    keypoints: KeypointParams,
    method: str,
    data: Path | str,
    out: Path,
    *,
    progress: Progress = silent,
    scalars: Scalars = unheard,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Pre-train a method's model on the shards, and keypoints for its agent; then measure it.

    Written: the weights and config.json, keypoints.safetensors where the method has any,
    history.csv (the curve of the training), metrics.json, README.md (the model card), and images
    where the method draws any. An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        keypoints: the same of what its agent will see beside it; "vae" is all that its agent sees.
        method: one of METHODS.
        data: folder that `shard` wrote; where the method's source is a stream, or its address.
        out: folder of the result, replaced at the end.
        progress: called after every step.
        scalars: called with losses and what is measured, every `log_every` steps.
        ranks: the processes that train it together, `batch_size` being that of all of them.

    Returns:
        The metrics; none in other processes than the first.

    Raises:
        UserError: no such method, a shard is missing or damaged, the data's spec lacks what params
            ask for, or training diverged.
    """
    if method not in METHODS:
        raise UserError(f"no method {method!r} is pre-trained; choose one of {', '.join(METHODS)}")
    of_method: TrainingParams = getattr(params, method)
    pretraining = METHODS[method]
    made_from: dict[str, Any] = {"pretrain": of_method.model_dump()}
    if isinstance(of_method, ContextParams):
        made_from["keypoints"] = keypoints.model_dump()
        pretraining = with_sight(pretraining, keypoints, method)

    def make(spec: EpisodeSpec) -> Any:
        encoder = of_method.encoder if isinstance(of_method, ContextParams) else None
        seen = keypoints if encoder is not None else None
        check_batches(of_method, encoder, seen, ranks, f"pretrain.{method}")
        model = pretraining.make(of_method, spec)
        augmentation_of(of_method.augment, spec, f"pretrain.{method}")  # raises before decoding
        return model

    return write_trained(
        make=make,
        fit=lambda model, batches, work: pretraining.fit(
            of_method, model, batches, work, progress, scalars
        ),
        measure=lambda model, batches, work: pretraining.measure(
            of_method, model, batches, work, progress
        ),
        card=lambda spec, lineage, metrics: _model_card(
            of_method, pretraining.card, spec, lineage, metrics
        ),
        data=data,
        out=out,
        output=OUTPUT,
        made_from={"method": method, "params": made_from},
        params=of_method,
        stage=__name__,
        progress=progress,
        ranks=ranks,
    )


def _model_card(
    params: TrainingParams,
    card: str,
    spec: EpisodeSpec,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> str:
    made_from = lineage["params"]
    facts = [
        sees_fact(spec),
        f"Training: {params.steps} steps of {params.batch_size}, seed {params.seed}",
    ]
    facts += [keypoints_fact(made_from["keypoints"])] if "keypoints" in made_from else []
    facts += pose_facts(made_from["pretrain"])
    note = (
        "All metrics are of held-out episodes, and where they are of actions, of normalised ones.\n"
        "How the model does in a world, `parrot judge` tells."
    )
    return card_page(f"Pre-training `{lineage['method']}`", card, lineage, facts, metrics, note)
