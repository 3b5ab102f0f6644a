"""Statistics of a stream of rows, to the last bit the same wherever they are computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from parrot_data.episodes.episode import Episode


class Moments(BaseModel):
    """Mean and (population) standard deviation, a number a column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: list[float]
    std: list[float]


class Spread(Moments):
    """Moments with the least and the greatest value, a number a column."""

    min: list[float]
    max: list[float]


class DatasetStatistics(BaseModel):
    """What normalisation needs: over all actions, all observations (T + 1 an episode).

    `image` is in units of the stored uint8 (0 to 255), a number a colour channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Spread
    proprioception: Spread
    image: Moments


class RunningStatistics:
    """Collects the statistics of a dataset, episode by episode, in float64."""

    def __init__(self) -> None:
        self._actions = _RunningSpread()
        self._proprioception = _RunningSpread()
        # Colours are counted, so that sums over 10^10 pixels stay exact.
        self._colours = np.zeros((3, 256), dtype=np.int64)

    def add(self, episode: Episode) -> None:
        """Take one more episode in."""
        self._actions.add(episode.actions)
        self._proprioception.add(episode.proprioception)
        for channel in range(3):
            values = episode.images[..., channel].ravel()
            self._colours[channel] += np.bincount(values, minlength=256)

    def result(self) -> DatasetStatistics:
        """The statistics so far; at least one episode must have been added."""
        values = np.arange(256, dtype=np.int64)
        count = self._colours.sum(axis=1)
        mean = (self._colours @ values) / count
        variance = (self._colours @ values**2) / count - mean**2
        image = Moments(mean=mean.tolist(), std=np.sqrt(np.maximum(variance, 0.0)).tolist())
        return DatasetStatistics(
            action=self._actions.result(),
            proprioception=self._proprioception.result(),
            image=image,
        )


class _RunningSpread:
    """Sums of distances from the first row: a constant column has a deviation of exactly 0."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, rows: NDArray[np.float32]) -> None:
        """Take in rows (N, D), N >= 1."""
        wide = rows.astype(np.float64)
        if self._count == 0:
            self._origin, self._min, self._max = wide[0], wide[0], wide[0]
            self._sum, self._square_sum = np.zeros_like(wide[0]), np.zeros_like(wide[0])
        distance = wide - self._origin
        self._count += len(wide)
        self._sum += distance.sum(axis=0)
        self._square_sum += np.square(distance).sum(axis=0)
        self._min = np.minimum(self._min, wide.min(axis=0))
        self._max = np.maximum(self._max, wide.max(axis=0))

    def result(self) -> Spread:
        offset = self._sum / self._count
        variance = np.maximum(self._square_sum / self._count - offset**2, 0.0)
        return Spread(
            mean=(self._origin + offset).tolist(),
            std=np.sqrt(variance).tolist(),
            min=self._min.tolist(),
            max=self._max.tolist(),
        )
