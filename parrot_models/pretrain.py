"""Stage `pretrain`: what a baseline learns from the shards before it learns a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.bc_training import BEHAVIOR_CLONING
from parrot_models.baselines.keypoint_pretraining import with_keypoints
from parrot_models.baselines.options_training import OPTIONS
from parrot_models.baselines.params import ContextParams, PretrainingParams, PretrainParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.baselines.trajectories_training import TRAJECTORIES
from parrot_models.baselines.vae_training import BETA_VAE
from parrot_models.networks.stored import CONFIG
from parrot_models.training.card_page import card_page, keypoints_fact
from parrot_models.training.keypoint_params import KeypointParams
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
    environment: EnvironmentParams,
    method: str,
    data: Path,
    out: Path,
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Pre-train a method's model on the shards, and keypoints for its agent; then judge both.

    Written: the weights and config.json, keypoints.safetensors where the method has any,
    history.csv (the curve of the training), metrics.json, README.md (the model card), and pictures
    where the method draws any. An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        keypoints: the same of what its agent will see beside it; "vae" is all that its agent sees.
        environment: the world the shards come from, for rollouts and probes.
        method: one of METHODS.
        data: folder that `shard` wrote.
        out: folder of the result, replaced at the end.
        progress: told of every step.

    Returns:
        The metrics.

    Raises:
        UserError: no such method, a shard is missing or damaged, or training diverged.
    """
    if method not in METHODS:
        raise UserError(f"no method {method!r} is pre-trained; choose one of {', '.join(METHODS)}")
    of_method: PretrainingParams = getattr(params, method)
    pretraining = METHODS[method]
    made_from = {"pretrain": of_method.model_dump(), "environment": environment.model_dump()}
    if isinstance(of_method, ContextParams):
        made_from["keypoints"] = keypoints.model_dump()
        pretraining = with_keypoints(pretraining, keypoints, method)

    return write_trained(
        make=lambda: pretraining.make(of_method, environment),
        fit=lambda model, batches, work: pretraining.fit(of_method, model, batches, work, progress),
        judge=lambda model, batches, work: pretraining.judge(
            of_method, model, batches, environment, work, progress
        ),
        card=lambda lineage, metrics: _model_card(of_method, pretraining.card, lineage, metrics),
        data=data,
        out=out,
        output=OUTPUT,
        made_from={"method": method, "params": made_from},
        stage=__name__,
        seed=of_method.seed,
        held_out_fraction=of_method.held_out_fraction,
        progress=progress,
    )


def _model_card(
    params: PretrainingParams, card: str, lineage: Mapping[str, Any], metrics: Mapping[str, Any]
) -> str:
    facts = [f"Training: {params.steps} steps of {params.batch_size}, seed {params.seed}"]
    made_from = lineage["params"]
    facts += [keypoints_fact(made_from["keypoints"])] if "keypoints" in made_from else []
    note = (
        "Rollouts and probes are in scenes of two objects that the data never showed; means over\n"
        "both families where none is named."
    )
    return card_page(f"Pre-training `{lineage['method']}`", card, lineage, facts, metrics, note)
