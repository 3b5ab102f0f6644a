"""The learning curve of a run, from the episodes it lived."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from parrot_models.rl.learner import EpisodeSummary

COLUMNS = ("env_steps", "success_rate", "num_episodes", "episode_return")
INFO_COLUMNS = ("critic_loss", "value", "actor_loss", "entropy", "temperature")


def curve_rows(
    history: Sequence[EpisodeSummary], window: int, every: int
) -> list[dict[str, float]]:
    """Rows of curve.csv: means over the last `window` training episodes, every few episodes.

    The first row is that of the first full window, or the last episode's in a run without one.
    """
    last = len(history)
    rows = []
    for end in sorted({*range(min(window, last), last + 1, every), last}):
        episodes = history[max(0, end - window) : end]
        rows.append(
            {
                "env_steps": episodes[-1].env_steps,
                "success_rate": success_rate(episodes),
                "num_episodes": len(episodes),
                "episode_return": sum(e.episode_return for e in episodes) / len(episodes),
                **episodes[-1].info,
            }
        )
    return rows


def steps_to(rows: Sequence[dict[str, float]], rate: float) -> int | None:
    """Env steps at the first row of a curve that reached a success rate, None if none did."""
    reached = (int(r["env_steps"]) for r in rows if r["success_rate"] >= rate)
    return next(reached, None)


def write_curve(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write the rows as CSV; what no update told yet stays empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*COLUMNS, *INFO_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 6) for name, value in row.items()} for row in rows)


def success_rate(episodes: Sequence[EpisodeSummary]) -> float:
    """Share of the episodes that succeeded."""
    return sum(episode.success for episode in episodes) / len(episodes)
