"""Statistics of a stream of rows, to the last bit the same wherever they are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError


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

    Attributes:
        action: of the actions.
        vectors: of each vector observation, by name.
        images: of each image, by name, in units of the stored uint8 (0 to 255), a number a colour
            channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Spread
    vectors: dict[str, Spread]
    images: dict[str, Moments]

    def check(self, spec: EpisodeSpec) -> None:
        """Refuse statistics that are not those of episodes of a spec.

        Raises:
            ValueError: names or widths differ.
        """
        wanted = {"action": spec.action.dim, **spec.vectors, **dict.fromkeys(spec.images, 3)}
        found = {"action": self.action, **self.vectors, **self.images}
        widths = {
            name: {len(column) for column in each.model_dump().values()}
            for name, each in found.items()
        }
        if widths != {name: {width} for name, width in wanted.items()}:
            raise ValueError("its statistics are not those of what its spec names")


class RunningStatistics:
    """Collects the statistics of a dataset, episode by episode, in float64.

    Args:
        spec: of the episodes.
    """

    def __init__(self, spec: EpisodeSpec) -> None:
        self._action = _RunningSpread()
        self._vectors = {name: _RunningSpread() for name in spec.vectors}
        # Colours are counted, so that sums over 10^10 pixels stay exact.
        self._colours = {name: np.zeros((3, 256), dtype=np.int64) for name in spec.images}

    def add(self, episode: Episode) -> None:
        """Take one more episode in.

        Raises:
            UserError: an action or a vector of it holds a number that is not finite.
        """
        self.add_numbers(episode.index, episode.actions, episode.observations)
        self.add_colours(colours_of([episode], self._colours))

    def add_numbers(
        self,
        index: int,
        actions: NDArray[np.float32],
        observations: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Take in the actions and vectors of one more episode, which come in their order.

        Args:
            index: of the episode, for errors.
            actions: (T, A).
            observations: by name, all vectors and perhaps others.

        Raises:
            UserError: one of them holds a number that is not finite.
        """
        _check_finite(index, "actions", actions)
        self._action.add(actions)
        for name, spread in self._vectors.items():
            _check_finite(index, name, observations[name])
            spread.add(observations[name])

    def add_colours(self, colours: Mapping[str, NDArray[np.int64]]) -> None:
        """Take in what `colours_of` counted in episodes, in any order."""
        for name, counts in colours.items():
            self._colours[name] += counts

    def result(self) -> DatasetStatistics:
        """The statistics so far; at least one episode must have been added."""
        return DatasetStatistics(
            action=self._action.result(),
            vectors={name: spread.result() for name, spread in self._vectors.items()},
            images={name: _moments_of(colours) for name, colours in self._colours.items()},
        )


def colours_of(episodes: Iterable[Episode], images: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """How often each colour of images is each of the 256 values: (3, 256), by their names."""
    colours = {name: np.zeros((3, 256), dtype=np.int64) for name in images}
    for episode in episodes:
        for name, counts in colours.items():
            for channel in range(3):
                values = episode.observations[name][..., channel].ravel()
                counts[channel] += np.bincount(values, minlength=256)
    return colours


def _check_finite(index: int, name: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise UserError(
            f"episode {index}: its {name} hold a number that is not finite: drop the "
            "episode, or mend what recorded it."
        )


def _moments_of(colours: NDArray[np.int64]) -> Moments:
    """Moments from how often each of the 256 values occurs, a row a channel."""
    values = np.arange(256, dtype=np.int64)
    count = colours.sum(axis=1)
    mean = (colours @ values) / count
    variance = (colours @ values**2) / count - mean**2
    return Moments(mean=mean.tolist(), std=np.sqrt(np.maximum(variance, 0.0)).tolist())


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
