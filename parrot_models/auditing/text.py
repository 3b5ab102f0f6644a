"""An audit in words and aligned columns, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parrot_models.report_page.tables import NONE, as_text

POLICIES = {"sampled": "sampled", "mode": "at z = 0", "random": "random actions"}
UNIFORM = -math.log(2.0)  # log-density of uniform actions in [-1, 1], a dimension
SUCCESS = "success_rate"


def audit_text(metrics: Mapping[str, Any], is_bounded: bool) -> str:
    """What `metrics.json` of an audit holds, to be read.

    Args:
        metrics: see `parrot_models.audit`.
        is_bounded: whether actions have bounds, between which uniform ones can be drawn.
    """
    parts = [
        f"{metrics['num_episodes']:,} demonstrations of {metrics['num_transitions']:,} steps",
        _likelihood(metrics, is_bounded),
        "Their actions as z, and the share of them within an agent's bounds of |z|:\n\n"
        + _latents(metrics),
        "The steps that the prior finds least likely:\n\n" + _least_likely(metrics),
    ]
    if "rollouts" in metrics or len(metrics["tasks"]) > 1:
        parts.append(_tasks(metrics))
    return "\n\n".join([*parts, _summary(metrics)])


def _likelihood(metrics: Mapping[str, Any], is_bounded: bool) -> str:
    beside = []
    if metrics["held_out_log_prob_per_dim"] is not None:
        beside.append(f"{metrics['held_out_log_prob_per_dim']:.2f} on its own held-out episodes")
    if is_bounded:
        beside.append(f"{UNIFORM:.2f} if all actions were as likely")
    said = f"Log-likelihood: {metrics['log_prob_per_dim']:.2f} nats per dimension"
    lines = [said + (f" ({', '.join(beside)})" if beside else "")]
    if metrics["is_training_data"]:
        lines.append("The prior was trained on these very data: other demonstrations tell more.")
    if metrics["restored_error"] > 0.05:
        lines.append(
            f"f does not give them back exactly: it is up to {metrics['restored_error']:.2g} off, "
            "of normalised actions."
        )
    return "\n".join(lines)


def _latents(metrics: Mapping[str, Any]) -> str:
    within, latents = metrics["within"], metrics["latents"]
    header = ("", "mean", "std", *map(_bound, within))
    rows = [
        (
            f"dimension {dim}",
            f"{mean:.2f}",
            f"{std:.2f}",
            *(f"{row['by_dimension'][dim]:.2f}" for row in within),
        )
        for dim, (mean, std) in enumerate(zip(latents["mean"], latents["std"], strict=True))
    ]
    rows += [
        ("N(0, 1)", "0.00", "1.00", *(f"{row['normal_by_dimension']:.2f}" for row in within)),
        ("all at once", "", "", *(f"{row['all']:.2f}" for row in within)),
        ("N(0, I)", "", "", *(f"{row['normal_all']:.2f}" for row in within)),
        ("uniform actions", "", "", *(f"{row['uniform_all']:.2f}" for row in within)),
    ]
    restored = metrics["restored"]
    said = (
        f"Without a bound an agent can produce {restored['demonstrated']:.0%} of them, and "
        f"{restored['uniform']:.0%} of uniform actions."
    )
    return f"{as_text(header, rows, 1)}\n\n{said}"


def _bound(within: Mapping[str, Any]) -> str:
    return f"|z| <= {within['latent_bound']:g}"


def _least_likely(metrics: Mapping[str, Any]) -> str:
    header = ("task", "episode", "step", "nats per dimension", "largest z", "in dimension")
    rows: Sequence[tuple[str, ...]] = [
        (
            step["task"],
            str(step["episode"]),
            str(step["step"]),
            f"{step['log_prob_per_dim']:.2f}",
            f"{step['latent']:.2f}",
            str(step["dimension"]),
        )
        for step in metrics["least_likely"]
    ]
    return as_text(header, rows, 1)


def _tasks(metrics: Mapping[str, Any]) -> str:
    """A row a task: what its demonstrations tell, and what the untrained prior does in it."""
    rollouts = metrics.get("rollouts", {})
    header = ["task", "episodes", "nats per dimension", *map(_bound, metrics["within"])]
    said = "By task: likelihood, and the share of actions within a bound in all dimensions at once"
    if rollouts:
        header += POLICIES.values()
        said += ".\nSuccess of the untrained prior, sampled and at z = 0, and of random actions"
    rows = []
    for task in sorted({*metrics["tasks"], *rollouts}):
        cells = _measured(metrics["tasks"].get(task), len(metrics["within"]))
        acted = rollouts.get(task, {})
        if rollouts:
            cells += [f"{acted[name][SUCCESS]:.2f}" if acted else NONE for name in POLICIES]
        rows.append((task, *cells))
    return f"{said}:\n\n{as_text(header, rows, 1)}"


def _measured(measured: Mapping[str, Any] | None, num_bounds: int) -> list[str]:
    """Cells of a task's demonstrations; dashes where it was acted in and has none."""
    if measured is None:
        return [NONE] * (2 + num_bounds)
    likelihood = f"{measured['log_prob_per_dim']:.2f}"
    shares = [f"{row['all']:.2f}" for row in measured["within"]]
    return [f"{measured['num_episodes']:,}", likelihood, *shares]


def _summary(metrics: Mapping[str, Any]) -> str:
    """The figures to keep in mind, in a sentence; what follows from them is the reader's."""
    within = ", ".join(
        f"{row['all']:.0%} within {row['latent_bound']:g}" for row in metrics["within"]
    )
    said = f"In all: {metrics['log_prob_per_dim']:.2f} nats per dimension; of the actions {within}"
    rollouts = metrics.get("rollouts")
    if rollouts:
        over = f"mean over {len(rollouts)} tasks" if len(rollouts) > 1 else "in one task"
        told = ", ".join(
            f"{_mean(rates[name][SUCCESS] for rates in rollouts.values()):.2f} {words}"
            for name, words in POLICIES.items()
        )
        said += f"; success before any learning: {told} ({over})"
    return f"{said}."


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
