"""The frame of every training on the shards: draw weights, decode, fit, measure, publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.outputs.layout import Output
from parrot_data.stores.outputs.work import FINGERPRINT, open_work
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import SEAL, seal
from parrot_data.stores.sources import code_of
from parrot_models.networks.chance import torch_seed
from parrot_models.networks.device import CPU
from parrot_models.networks.finite import check_weights
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.sanity import check_deviations, check_metrics, check_variety

# What is sealed: results, not what resuming needs
RESULTS = ("*.safetensors", "*.json", "*.csv", "*.md", "*.png")

SCRATCH = ("cache", "*.checkpoint")
WRITTEN = ("metrics.json", "README.md", "history.csv", SEAL)


class Trainable(Protocol):
    """A module that writes itself; `save` makes config.json and the weights."""

    def eval(self) -> Any: ...  # noqa: D102
    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102
    def requires_grad_(self, requires_grad: bool = ..., /) -> Any: ...  # noqa: D102
    def save(self, folder: Path, lineage: dict[str, Any], /) -> None: ...  # noqa: D102


Model = TypeVar("Model", bound=Trainable)


def write_trained(
    make: Callable[[EpisodeSpec], Model],
    fit: Callable[[Model, TransitionBatches, Path], None],
    measure: Callable[[Model, TransitionBatches, Path], dict[str, Any]],
    card: Callable[[EpisodeSpec, Mapping[str, Any], Mapping[str, Any]], str],
    data: Path,
    out: Path,
    output: Output,
    made_from: Mapping[str, Any],
    *,
    stage: str,
    seed: int,
    held_out_fraction: float,
    device: torch.device = CPU,
    progress: Progress,
) -> dict[str, Any]:
    """Train a model on the shards and write it with its metrics and its card.

    Written: what the model's `save` writes, what `fit` and `measure` leave in the work folder but
    checkpoints, metrics.json, README.md (the model card) and the seal. An interrupted run resumes
    from `<out>.partial`, if code, data and params are what they were.

    Args:
        make: the model of such data, with freshly drawn weights; it raises `UserError` where the
            spec lacks what params ask for, before anything is decoded.
        fit: train it on batches, checkpoints and curve in the work folder; see `fitting.fit`.
        measure: what the data give as metrics of the trained model, frozen; may leave images in
            the work folder.
        card: the model card, of spec, lineage and metrics.
        data: folder that `shard` wrote.
        out: folder of the result, replaced at the end.
        output: what it looks like, with SCRATCH.
        made_from: the lineage, but for the data: params and all else that determines the result.
        stage: name of the stage's module: its code decides whether unfinished work is gone on with.
        seed: of the weights, which torch's own initialisers draw.
        held_out_fraction: share of the episodes kept for validation.
        device: where `fit` trains; another one changes the last bits of what is learned.
        progress: called as data are decoded.

    Returns:
        The metrics.

    Raises:
        UserError: a shard is missing or damaged, the spec lacks what params ask for, a dimension of
            the actions is constant, or training diverged.
    """
    manifest = load_manifest(data, "shards")
    check_deviations(manifest, data)
    torch.manual_seed(torch_seed(seed, "training on shards: weights"))
    model = make(manifest.spec)
    lineage = {**made_from, "data_manifest_sha256": sha256_file(data / MANIFEST)}
    fingerprint = {**lineage, "code": code_of(stage), "device": device.type}
    with open_work(out, output, fingerprint, [data]) as work:
        folder = work.folder
        batches = TransitionBatches(data, folder / "cache", held_out_fraction, progress)
        check_variety(batches, data)
        fit(model, batches, folder)
        model.eval()
        model.requires_grad_(False)
        check_weights(model.state_dict(), "training")
        model.save(folder, lineage)
        metrics = measure(model, batches, folder)
        check_metrics(metrics)
        write_json(folder / "metrics.json", metrics)
        (folder / "README.md").write_text(card(manifest.spec, lineage, metrics), encoding="utf-8")
        del batches  # unmaps the cache
        found = {path.name for kind in RESULTS for path in folder.glob(kind)}
        seal(folder, found - {FINGERPRINT})
        work.publish()
    return metrics
