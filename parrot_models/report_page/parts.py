"""What methods other than parrot start from, beside the prior: how good each part is by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.judged import SUCCESS, Judgement, in_words, read_judgement
from parrot_models.report_page.page import Row
from parrot_models.report_page.tables import NONE

METRICS = "metrics.json"
SAMPLED = "sampled"  # the policy that a part is by itself
NATS, PROBE, PIXELS = "nats a dimension", "probe error", "pixel error"
# The likelihood of actions is exact or, where a latent is marginalised out, a lower bound of it.
LIKELIHOODS = ("elbo_per_dim", "bound_per_dim", "log_prob_per_dim")
IMAGES = {
    "reconstructions.png": "Images above, what is left of them in the latent below: held-out "
    "episodes."
}


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """A part as the report shows it.

    Attributes:
        name: of the part, and of its folder among the models.
        metrics: of its training.
        images: PNG bytes that its training left, by name of the file.
        judgement: of it, by itself.
    """

    name: str
    metrics: Mapping[str, Any]
    images: Mapping[str, bytes] = field(default_factory=dict)
    judgement: Judgement = field(default_factory=Judgement)

    def measured(self) -> dict[str, str]:
        """What is known of it, by column of a table; those of all parts together are its header."""
        rates = self.judgement.rates(SAMPLED)
        of_families = self.judgement.by_family(SAMPLED)
        cells = {NATS: (self._likelihood(), "{:.2f}")}
        cells |= {f"success: {f}": (v.get(SUCCESS), "{:.1%}") for f, v in of_families.items()}
        cells |= {in_words(k): (v, "{:.1%}") for k, v in rates.items() if k != SUCCESS}
        cells |= {in_words(k): (v, "{:.1%}") for k, v in self.judgement.reproduced().items()}
        cells |= {
            PROBE: (self.judgement.probe_error(), "{:.3g}"),
            PIXELS: (_number(self.metrics.get("object_error")), "{:.2f}"),
        }
        return {k: form.format(value) for k, (value, form) in cells.items() if value is not None}

    def _likelihood(self) -> float | None:
        found = (_number(self.metrics.get(name)) for name in LIKELIHOODS)
        return next((value for value in found if value is not None), None)


def part_rows(parts: Sequence[TrainedPart]) -> tuple[Row, list[Row]]:
    """Header and rows of the table of parts; what is unknown of all of them has no column."""
    measured = [part.measured() for part in parts]
    found = dict.fromkeys(name for cells in measured for name in cells)
    first, last = (NATS,), (PROBE, PIXELS)
    columns = [name for name in first if name in found]
    columns += [name for name in found if name not in (*first, *last)]
    columns += [name for name in last if name in found]
    rows = [
        (part.name, *(cells.get(column, NONE) for column in columns))
        for part, cells in zip(parts, measured, strict=True)
    ]
    return ("part", *columns), rows


def read_parts(folders: Mapping[str, Path], judged: Path) -> list[TrainedPart]:
    """Read what stages pretrain, train_flow and judge left, by name of the part.

    Raises:
        UserError: a part is not there, its metrics cannot be read, or it was changed.
    """
    return [_read(name, folder, judged) for name, folder in folders.items()]


def with_prior(
    prior: Path, judgement: Judgement, parts: Sequence[TrainedPart]
) -> list[TrainedPart]:
    """The prior under the name of its flow, then the parts; nothing where there are none."""
    if not parts:
        return []
    trained = read_json(prior / "config.json").get("params", {}).get("train_prior", {})
    name = f"prior ({trained['flow']})" if "flow" in trained else "prior"
    return [TrainedPart(name, read_json(prior / METRICS), judgement=judgement), *parts]


def _read(name: str, folder: Path, judged: Path) -> TrainedPart:
    if not (folder / METRICS).is_file():
        raise UserError(
            f"{folder} holds no {METRICS}: run `dvc repro parts`, or take {name} out of "
            "finetune.parts and finetune.flows"
        )
    check_seal(folder, "dvc repro parts")
    paths = {file: folder / file for file in IMAGES}
    images = {file: path.read_bytes() for file, path in paths.items() if path.is_file()}
    return TrainedPart(name, read_json(folder / METRICS), images, read_judgement(judged, folder))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
