"""What methods other than parrot start from, beside the prior: how good each part is by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.page import Row
from parrot_models.report_page.tables import NONE

METRICS = "metrics.json"
# What is compared: its column, its names in metrics.json of one kind of part or another, its form.
# The likelihood of actions is exact or, where a latent is marginalised out, a lower bound of it.
MEASURES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "nats a dimension": (("elbo_per_dim", "bound_per_dim", "log_prob_per_dim"), "{:.2f}"),
    "rollouts that pick": (("pick_rollout_success_rate",), "{:.1%}"),
    "that place": (("place_rollout_success_rate",), "{:.1%}"),
    "with any object": (("rollout_any_object_rate",), "{:.1%}"),
    "picks reproduced": (("pick_reproduced_rate", "pick_reproduction_rate"), "{:.1%}"),
    "places reproduced": (("place_reproduced_rate", "place_reproduction_rate"), "{:.1%}"),
    "probe error (cm)": (("probe_error_cm.agent_features", "probe_error_cm.features"), "{:.2f}"),
    "pixel error": (("object_error",), "{:.2f}"),
}
HEADER: Row = ("part", *MEASURES)
PICTURES = {
    "reconstructions.png": "Pictures above, what is left of them in the latent below: held-out "
    "episodes, then scenes of unseen objects."
}


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """A part as the report shows it.

    Attributes:
        name: of the part, and of its folder among the models.
        metrics: of its training.
        pictures: PNG bytes that its training left, by name of the file.
    """

    name: str
    metrics: Mapping[str, Any]
    pictures: Mapping[str, bytes]

    def measured(self) -> dict[str, float | None]:
        """The value in each column of `MEASURES`, None where the part has none."""
        return {
            column: next(
                (v for v in (_value(self.metrics, n) for n in names) if v is not None), None
            )
            for column, (names, _form) in MEASURES.items()
        }

    def row(self) -> Row:
        """Its row under `HEADER`."""
        cells = (
            NONE if value is None else MEASURES[column][1].format(value)
            for column, value in self.measured().items()
        )
        return (self.name, *cells)


def read_parts(folders: Mapping[str, Path]) -> list[TrainedPart]:
    """Read what stages pretrain and train_flow left, by name of the part.

    Raises:
        UserError: a part is not there, its metrics cannot be read, or it was changed.
    """
    return [_read(name, folder) for name, folder in folders.items()]


def with_prior(prior: Path, parts: Sequence[TrainedPart]) -> list[TrainedPart]:
    """The prior under the name of its flow, then the parts; nothing where there are none."""
    if not parts:
        return []
    trained = read_json(prior / "config.json").get("params", {}).get("train_prior", {})
    name = f"prior ({trained['flow']})" if "flow" in trained else "prior"
    return [TrainedPart(name, read_json(prior / METRICS), {}), *parts]


def _read(name: str, folder: Path) -> TrainedPart:
    if not (folder / METRICS).is_file():
        raise UserError(
            f"{folder} holds no {METRICS}: run `dvc repro parts`, or take {name} out of "
            "finetune.parts and finetune.flows"
        )
    check_seal(folder, "dvc repro parts")
    paths = {file: folder / file for file in PICTURES}
    pictures = {file: path.read_bytes() for file, path in paths.items() if path.is_file()}
    return TrainedPart(name, read_json(folder / METRICS), pictures)


def _value(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric by its name, with points where it lies deeper; None if it is not there."""
    value: Any = metrics
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
