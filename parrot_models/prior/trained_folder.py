"""The frame of every training on the shards: decode, draw weights, fit, judge, publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from parrot_data.progress import Progress
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.outputs.layout import Output
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import read_json, sha256_file, sha256_sources, write_json
from parrot_models.networks.device import CPU
from parrot_models.prior.batches import TransitionBatches

SCRATCH = ("cache", "*.checkpoint")
WRITTEN = ("metrics.json", "README.md", "history.csv")


class Trainable(Protocol):
    """A module that writes itself; `save` makes config.json and the weights."""

    def eval(self) -> Any: ...  # noqa: D102
    def requires_grad_(self, requires_grad: bool = ..., /) -> Any: ...  # noqa: D102
    def save(self, folder: Path, lineage: dict[str, Any], /) -> None: ...  # noqa: D102


Model = TypeVar("Model", bound=Trainable)


def write_trained(
    make: Callable[[], Model],
    fit: Callable[[Model, TransitionBatches, Path], None],
    judge: Callable[[Model, TransitionBatches, Path], dict[str, Any]],
    card: Callable[[Mapping[str, Any], Mapping[str, Any]], str],
    data: Path,
    out: Path,
    output: Output,
    made_from: Mapping[str, Any],
    *,
    seed: int,
    held_out_fraction: float,
    device: torch.device = CPU,
    progress: Progress,
) -> dict[str, Any]:
    """Train a model on the shards and write it with its metrics and its card.

    Written: what the model's `save` writes, what `fit` and `judge` leave in the work folder but
    checkpoints, metrics.json and README.md (the model card). An interrupted run resumes from
    `<out>.partial`, if code, data and params are what they were.

    Args:
        make: the model with freshly drawn weights.
        fit: train it on batches, checkpoints and curve in the work folder; see `fitting.fit`.
        judge: metrics of the trained model, frozen; may leave pictures in the work folder.
        card: the model card, of lineage and metrics.
        data: folder that `shard` wrote.
        out: folder of the result, replaced at the end.
        output: what it looks like, with SCRATCH.
        made_from: the lineage, but for the data: params and all else that determines the result.
        seed: of the weights, which torch's own initialisers draw.
        held_out_fraction: share of the episodes kept for validation.
        device: where `fit` trains; another one changes the last bits of what is learned.
        progress: told of the decoding.

    Returns:
        The metrics.

    Raises:
        UserError: a shard is missing or damaged, or training diverged.
    """
    read_json(data / MANIFEST)
    lineage = {**made_from, "data_manifest_sha256": sha256_file(data / MANIFEST)}
    code = sha256_sources(Path(__file__).parents[1])
    fingerprint = {**lineage, "code": code, "device": device.type}
    with open_work(out, output, fingerprint, [data]) as work:
        folder = work.folder
        batches = TransitionBatches(data, folder / "cache", held_out_fraction, progress)
        torch.manual_seed(seed)
        model = make()
        fit(model, batches, folder)
        model.eval()
        model.requires_grad_(False)
        model.save(folder, lineage)
        metrics = judge(model, batches, folder)
        write_json(folder / "metrics.json", metrics)
        (folder / "README.md").write_text(card(lineage, metrics), encoding="utf-8")
        del batches  # unmaps the cache
        work.publish()
    return metrics
