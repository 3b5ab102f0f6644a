"""What a reader sees first: a few large numbers, and a sentence on the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parrot_data.stores.manifest import ShardsManifest
from parrot_models.report_page.aggregates import Aggregates
from parrot_models.report_page.judged import Judgement
from parrot_models.report_page.learning import Run
from parrot_models.report_page.tables import final_success

MANY_TILES = 8  # pairs of task and method that still have a number each
# Of the policies that judge rolls out; whatever else there is has no place in a headline.
ACTED = {
    "sampled": "rollouts in unseen scenes succeed in {} of scenes",
    "mode": "in {} at z = 0",
    "random": "uniform random actions in {}",
}
TILES = {
    "sampled": "of the prior's rollouts succeed",
    "mode": "of those at z = 0 do",
    "random": "of uniform random ones do",
}


def prior_sentence(metrics: Mapping[str, Any], judgement: Judgement) -> str:
    """How likely held-out actions are under the prior, and what its rollouts do."""
    likelihood = f"Prior: {metrics['log_prob_per_dim']:.2f} nats per dimension on held-out episodes"
    rates = {name: judgement.success(name) for name in ACTED}
    told = [ACTED[name].format(f"{rate:.1%}") for name, rate in rates.items() if rate is not None]
    return f"{likelihood}; {', '.join(told) or not_judged(judgement)}."


def not_judged(judgement: Judgement) -> str:
    """Why there are no rollouts to tell of."""
    if judgement.folder is None:
        return "not judged (see `parrot judge`)"
    reasons = judgement.metrics.get("not_judged", {})
    return f"its rollouts were not judged ({reasons.get('rollouts', 'it does not act by itself')})"


def tiles(
    manifest: ShardsManifest, judgement: Judgement, runs: Sequence[Run], found: Aggregates
) -> list[tuple[str, str]]:
    """(value, label) of data, prior and agents: of each method over all tasks, if they are many."""
    kept = (
        f"{manifest.num_episodes:,}",
        f"kept episodes, {manifest.num_transitions:,} transitions",
    )
    rates = {name: judgement.success(name) for name in TILES}
    of_prior = [(f"{r:.0%}", TILES[name]) for name, r in rates.items() if r is not None]
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
    return [kept, *of_prior, *of_agents]
