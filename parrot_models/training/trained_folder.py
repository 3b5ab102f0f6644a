"""The frame of every training on the shards: draw weights, decode, fit, measure, publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.outputs.layout import Output
from parrot_data.stores.outputs.work import FINGERPRINT, Work, open_work
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import SEAL, seal
from parrot_data.stores.sources import code_of
from parrot_models.networks.chance import torch_seed
from parrot_models.networks.device import CPU
from parrot_models.networks.finite import check_weights
from parrot_models.training.batches import Batches
from parrot_models.training.params import TrainingParams
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.sanity import check_deviations, check_metrics, check_variety
from parrot_models.training.shards import opened

# What is sealed: results, not what resuming needs
RESULTS = ("*.safetensors", "*.json", "*.csv", "*.md", "*.png")

CACHE = "cache"
SCRATCH = (CACHE, "*.checkpoint")
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
    fit: Callable[[Model, Batches, Path], None],
    measure: Callable[[Model, Batches, Path], dict[str, Any]],
    card: Callable[[EpisodeSpec, Mapping[str, Any], Mapping[str, Any]], str],
    data: Path | str,
    out: Path,
    output: Output,
    made_from: Mapping[str, Any],
    *,
    params: TrainingParams,
    stage: str,
    device: torch.device = CPU,
    progress: Progress,
    ranks: Ranks = ALONE,
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
        data: folder that `shard` wrote; where it is streamed, or its address.
        out: folder of the result, replaced at the end.
        output: what it looks like, with SCRATCH.
        made_from: the lineage, but for the data: params and all else that determines the result.
        params: how the data are read and split; their seed is that of the weights, too, which
            torch's own initialisers draw.
        stage: name of the stage's module: its code decides whether unfinished work is gone on with.
        device: where `fit` trains; another one changes the last bits of what is learned.
        progress: called as data are decoded.
        ranks: the processes that train it together; the first of them alone writes and measures.

    Returns:
        The metrics; none in other processes than the first.

    Raises:
        UserError: a shard is missing or damaged, the spec lacks what params ask for, a dimension of
            the actions is constant, or training diverged.
    """
    with opened(data, params.source) as shards:
        manifest = shards.manifest
        check_deviations(manifest, shards.name)
        torch.manual_seed(torch_seed(params.seed, "training on shards: weights"))
        model = make(manifest.spec)
        lineage = {**made_from, "data_manifest_sha256": sha256_file(shards.folder / MANIFEST)}
        fingerprint = {**lineage, "code": code_of(stage), "device": device.type}
        inputs = [] if shards.is_elsewhere else [shards.folder]
        with _work(lambda: open_work(out, output, fingerprint, inputs), ranks) as (work, folder):
            with shards.batches(folder / CACHE, params, progress, ranks) as batches:
                check_variety(batches, shards.name)
                fit(model, batches, folder)
                if work is None:
                    return {}
                metrics = _write(model, batches, folder, lineage, measure)
            card_text = card(manifest.spec, lineage, metrics)
            (folder / "README.md").write_text(card_text, encoding="utf-8")
            found = {path.name for kind in RESULTS for path in folder.glob(kind)}
            seal(folder, found - {FINGERPRINT})
            work.publish()
    return metrics


def _write(
    model: Model,
    batches: Batches,
    folder: Path,
    lineage: dict[str, Any],
    measure: Callable[[Model, Batches, Path], dict[str, Any]],
) -> dict[str, Any]:
    """Freeze a model, write and measure it; the metrics."""
    model.eval()
    model.requires_grad_(False)
    check_weights(model.state_dict(), "training")
    model.save(folder, lineage)
    metrics = measure(model, batches, folder)
    check_metrics(metrics)
    write_json(folder / "metrics.json", metrics)
    return metrics


@contextmanager
def _work(
    begin: Callable[[], AbstractContextManager[Work]], ranks: Ranks
) -> Iterator[tuple[Work | None, Path]]:
    """The work of the first process, and where it lies, which is all that others know of it."""
    with ExitStack() as stack:
        work = stack.enter_context(begin()) if ranks.is_first else None
        yield work, Path(ranks.from_first(lambda: str(work.folder) if work else ""))
