"""What a reader sees first: a few large numbers, and a sentence on the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parrot_data.stores.manifest import ShardsManifest
from parrot_models.report_page.aggregates import Aggregates
from parrot_models.report_page.learning import Run
from parrot_models.report_page.tables import final_success

MANY_TILES = 8  # pairs of task and method that still have a number each


def prior_sentence(metrics: Mapping[str, Any]) -> str:
    """How likely held-out actions are under the prior, and what its rollouts do."""
    return (
        f"Prior: {metrics['log_prob_per_dim']:.2f} nats per dimension on held-out episodes; "
        f"rollouts on unseen objects succeed in {metrics['rollout_success_rate']:.1%} of scenes, "
        f"uniform random actions in {metrics['random_success_rate']:.1%}."
    )


def tiles(
    manifest: ShardsManifest, metrics: Mapping[str, Any], runs: Sequence[Run], found: Aggregates
) -> list[tuple[str, str]]:
    """(value, label) of data, prior and agents: of each method over all tasks, if they are many."""
    of_data = [
        (f"{manifest.num_episodes:,}", f"kept episodes, {manifest.num_transitions:,} transitions"),
        (f"{metrics['rollout_success_rate']:.0%}", "of the prior's rollouts succeed"),
        (f"{metrics['random_success_rate']:.0%}", "of uniform random ones do"),
    ]
    of_agents = [
        (f"{values['success_rate']:.0%}", f"final success: {method} on {task}")
        for task, methods in final_success(runs).items()
        for method, values in methods.items()
    ]
    if len(of_agents) > MANY_TILES:
        of_agents = [
            (f"{float(found.mean[method].value):.0%}", f"mean final success: {method}")
            for method in found.mean
        ]
    return of_data + of_agents
