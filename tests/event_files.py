"""What a training told, as a test's listener notes it and as TensorBoard reads its event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Points = dict[str, list[tuple[int, float]]]


class Told:
    """A listener that notes values by phase and step, and refuses what is told twice."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, Mapping[str, float]]] = {}

    def __call__(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        found = self.values.setdefault(phase, {})
        if values:
            assert step not in found
            found[step] = values
        else:
            for later in [told for told in found if told > step]:
                del found[later]

    def column(self, phase: str, name: str) -> list[tuple[int, float]]:
        """(step, value) of a phase, of the steps that have this value."""
        return [(step, v[name]) for step, v in self.values[phase].items() if name in v]


def points_of(folder: Path) -> Points:
    """(step, value) of every tag in the event files of a folder, in their order."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def runs_in(logs: Path) -> list[str]:
    """Names of TensorBoard's runs: the folders with event files."""
    found = {path.parent for path in logs.rglob("*tfevents*")}
    return sorted(path.relative_to(logs).as_posix() for path in found)
