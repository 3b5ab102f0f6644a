"""The card of a run: metadata for the hub, its use and limits, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parrot_data.cards.front_matter import LIBRARY, TAGS, UNKNOWN_LICENSE, front_matter

FILM = "video.gif"
OF_A_RUN = """\
## Use

Meant for the task above, in the world above, and to be compared with agents of other methods
and seeds. It needs what its method was pre-trained as, by the hashes below, and refuses
another.

```sh
parrot evaluate RUN --prior PRIOR
parrot film RUN --out FILE.gif
```

```python
from pathlib import Path

from parrot_models.judging.runs import world_of
from parrot_models.methods.runs import load_run

run, prior = Path("run"), Path("prior")  # where they lie
config, loaded = load_run(run, lambda config: world_of(config).make_env(config.task), prior)
observation, _ = loaded.env.reset(seed=0)
action = loaded.agent.act(observation, deterministic=True)
```

## Limits

One seed of one task: how much chance there is in it, only several seeds say. It was judged in
scenes of the world that it learned in and in no others. Not for use on a real robot without a
safety layer of its own."""


def run_card(
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    is_filmed: bool,
    license_id: str = UNKNOWN_LICENSE,
) -> str:
    """README.md of a run of `finetune`.

    Args:
        config: as in config.json.
        metrics: as in metrics.json.
        is_filmed: whether there is a film beside it.
        license_id: of the weights, as the hub spells it.
    """
    task, method, world = config["task"], config["method"], config["environment"]["name"]
    film = f"![The agent in scenes of its evaluation]({FILM})\n\n" if is_filmed else ""
    rows = "\n".join(
        f"| {name} | {_shown(value)} |"
        for name, value in sorted(metrics.items())
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "seed"
    )
    return f"""\
{_run_metadata(task, method, metrics, license_id)}
# {method} on {task}

An agent of the method `{method}`, seed {config["seed"]}, that learned the task `{task}` of the
world `{world}` by reinforcement, with
[Parrot](https://arxiv.org/abs/2011.10024).

{film}| measure | value |
|---|---|
{rows}

{OF_A_RUN}

## Lineage

{_run_lineage(config)}

`SHA256SUMS` holds the hash of each file here; `parrot info` shows the chain.
"""


def _run_metadata(task: str, method: str, metrics: Mapping[str, Any], license_id: str) -> str:
    return front_matter({
        "license": license_id,
        "library_name": LIBRARY,
        "pipeline_tag": "reinforcement-learning",
        "tags": [*TAGS, method],
        "model-index": [{
            "name": f"{method} on {task}",
            "results": [{
                "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
                "dataset": {"type": task, "name": task},
                "metrics": [{"type": "success_rate", "value": metrics["success_rate"]}],
            }],
        }],
    })  # fmt: skip


def _run_lineage(config: Mapping[str, Any]) -> str:
    lines = [
        f"- params: SHA-256 `{config['params_sha256']}`",
        f"- manifest of the prior's data: `{config['data_manifest_sha256']}`",
        *(
            f"- pre-trained `{name}`: `{sha}`"
            for name, sha in sorted(config["prior_sha256"].items())
        ),
    ]
    if config.get("demonstrations_sha256"):
        lines.append(f"- manifest of the demonstrations: `{config['demonstrations_sha256']}`")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
