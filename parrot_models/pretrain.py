"""Stage `pretrain`: what a baseline learns from the shards before it learns a task."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from parrot_data.envs.params import EnvironmentParams
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import (
    open_work,
    publish,
    read_json,
    sha256_file,
    sha256_sources,
    write_json,
)
from parrot_models.baselines.behavior_cloning import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.cloning import CloningParams, fit_policy, judge_policy
from parrot_models.prior.batches import TransitionBatches

METHODS = ("bc",)


class PretrainParams(BaseModel):
    """Section `pretrain` of params.yaml: a part for each method.

    Attributes:
        bc: of behavior cloning, see `CloningParams`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    bc: CloningParams


def pretrain(
    params: PretrainParams,
    environment: EnvironmentParams,
    method: str,
    data: Path,
    out: Path,
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Pre-train a method's policy on the shards, then judge it in scenes of unseen objects.

    Written: policy.safetensors, config.json, history.csv (the likelihood curve), metrics.json and
    README.md (the model card). An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        environment: the world the shards come from, for rollouts.
        method: "bc", behavior cloning.
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
    read_json(data / MANIFEST)
    lineage = {
        "method": method,
        "params": {"pretrain": params.bc.model_dump(), "environment": environment.model_dump()},
        "data_manifest_sha256": sha256_file(data / MANIFEST),
    }
    work = open_work(out, {**lineage, "code": sha256_sources(Path(__file__).parent)})
    cache = work / "cache"
    batches = TransitionBatches(data, cache, params.bc.held_out_fraction, progress)
    torch.manual_seed(params.bc.seed)  # weights are drawn by torch's own initialisers
    policy = BehaviorCloning(_architecture(params.bc, environment))
    fit_policy(params.bc, policy, batches, work, progress)
    policy.eval().requires_grad_(False)
    policy.save(work, lineage)
    metrics = judge_policy(params.bc, policy, batches, environment)
    write_json(work / "metrics.json", metrics)
    (work / "README.md").write_text(_model_card(lineage, metrics), encoding="utf-8")
    del batches  # unmaps the cache
    shutil.rmtree(cache)
    (work / "policy.checkpoint").unlink(missing_ok=True)
    publish(work, out)
    return metrics


def _architecture(params: CloningParams, environment: EnvironmentParams) -> CloneArchitecture:
    return CloneArchitecture(
        image_size=environment.image_size,
        proprioception=environment.proprioception,
        encoder=params.encoder,
        feature_dim=params.feature_dim,
        context_dim=params.context_dim,
        hidden=params.hidden,
    )


def _model_card(lineage: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Markdown: what the policy is, what it was made from, how it did."""
    params = lineage["params"]["pretrain"]
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in sorted(metrics.items()))
    return f"""# Behavior-cloned policy

A Gaussian over 7-D actions of a tabletop arm, under a tanh, given what a behavioral prior is
given. Fitted by maximum likelihood to successful scripted episodes.

- Data: manifest SHA-256 `{lineage["data_manifest_sha256"]}`
- Encoder `{params["encoder"]}`, {params["steps"]} steps of {params["batch_size"]} transitions

| metric | value |
|---|---|
{rows}

Rollouts are in scenes of two objects that the data never showed; means over both families where
none is named. Not for use on a real robot.
"""
