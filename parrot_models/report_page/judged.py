"""What stage judge measured of a model, as the pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_data.stores.seal import check_seal

METRICS, CONFIG = "metrics.json", "config.json"
SUCCESS = "success_rate"
ORDER = ("sampled", "mode", "random")  # of policies, as a reader compares them
PROBED = "agent_features"  # what agents see, of all that is probed


@dataclass(frozen=True, eq=False)
class Judgement:
    """Metrics of a model by itself.

    Attributes:
        folder: where they lie; None where nobody judged the model.
        metrics: as `judge` writes them.
    """

    folder: Path | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def policies(self) -> list[str]:
        """Names of the policies that were rolled out, the model by itself first."""
        names = self.metrics.get("rollouts", {})
        return sorted(names, key=lambda name: (_place_of(name), name))

    def rates(self, policy: str) -> dict[str, float]:
        """Rates of a policy's rollouts, means over families, success first; none where none are."""
        return _numbers(self.metrics.get("rollouts", {}).get(policy, {}))

    def success(self, policy: str) -> float | None:
        """How often a policy succeeds, mean over families."""
        return self.rates(policy).get(SUCCESS)

    def by_family(self, policy: str) -> dict[str, dict[str, float]]:
        """The same a family."""
        families = self.metrics.get("rollouts", {}).get(policy, {}).get("families", {})
        return {name: _numbers(rates) for name, rates in families.items()}

    def reproduced(self) -> dict[str, float]:
        """Rates of demonstrations that the model reproduces, by what was done."""
        rates = _numbers(self.metrics.get("reproduction", {}))
        return {name: value for name, value in rates.items() if name.endswith("reproduction_rate")}

    def probe_error(self) -> float | None:
        """Of what agents see, in the units of the array that was probed for."""
        value = self.metrics.get("probe_error", {}).get(PROBED)
        return None if value is None else float(value)


def read_judgement(judged: Path, model: Path) -> Judgement:
    """Read `judged/NAME` of the model models/NAME.

    Returns:
        The judgement; one without a folder where nobody judged the model.

    Raises:
        UserError: it was changed, cannot be read, or is of other weights than the model's.
    """
    folder = judged / model.name
    if not folder.is_dir():
        return Judgement()
    check_seal(folder, "parrot judge")
    for name, digest in read_json(folder / CONFIG)["model_sha256"].items():
        path = model / name
        if not path.is_file() or sha256_file(path) != digest:
            raise UserError(
                f"{folder} judges other weights than those in {model}: run `parrot judge --model "
                f"{model} --out {folder}`, or remove the folder"
            )
    return Judgement(folder, read_json(folder / METRICS))


def _place_of(policy: str) -> int:
    return ORDER.index(policy) if policy in ORDER else len(ORDER)


def in_words(name: str) -> str:
    """A rate's name as a reader is told it: "any object" for any_object_rate."""
    return name.removesuffix("_rate").replace("_", " ")


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among metrics, success before others."""
    found = {k: float(v) for k, v in values.items() if isinstance(v, int | float)}
    return dict(sorted(found.items(), key=lambda item: (item[0] != SUCCESS, item[0])))
