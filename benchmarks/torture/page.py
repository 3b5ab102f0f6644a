"""The page of what was tried: a row for every attack, then what was not survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.table import table_line
from benchmarks.torture.trial import Outcome

COLUMNS = ("kind", "attack", "tried", "survived")


def reliability_page(
    outcomes: Sequence[Outcome], survived: Mapping[str, str], command: str, unmade: int
) -> str:
    """The page as Markdown; the same on every machine for the same outcomes.

    Args:
        outcomes: of all trials that were made.
        survived: by kind, what had to happen for an attack to count as survived.
        command: that makes the page.
        unmade: trials for which no time was left, or that did not come about.
    """
    lines = ["# Reliability", "", *_introduction(outcomes, command, unmade), ""]
    lines += [table_line(COLUMNS), "| --- | --- | ---: | ---: |"]
    for (kind, attack), group in _by_attack(outcomes).items():
        lines.append(table_line([kind, attack, str(len(group)), str(_survived(group))]))
    lines += [table_line(["all", "", str(len(outcomes)), str(_survived(outcomes))])]
    lines += ["", "## What counts as survived", ""]
    lines += [f"- **{kind.capitalize()}:** {what}." for kind, what in survived.items()]
    lines += ["", "## What was not survived", ""]
    failed = [outcome for outcome in outcomes if not outcome.survived]
    lines += [_failure(outcome) for outcome in failed] or ["Nothing: every attack was survived."]
    return "\n".join(lines) + "\n"


def _introduction(outcomes: Sequence[Outcome], command: str, unmade: int) -> list[str]:
    lines = [
        f"Made by `{command}`, never by hand. Every stage of the pipeline is run with tiny values",
        "by the real `parrot`, attacked at moments and in places drawn from a seed, and compared,",
        "byte by byte, with a run that nobody disturbed.",
    ]
    if unmade:
        told = f"Of {unmade + len(outcomes)} trials {unmade} are not counted: "
        lines += ["", f"{told}time ran out, or the command was over before it could be hit."]
    return lines


def _by_attack(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.trial.kind, outcome.trial.attack), []).append(outcome)
    return groups


def _survived(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.survived for outcome in outcomes)


def _failure(outcome: Outcome) -> str:
    trial = outcome.trial
    trouble = " ".join(outcome.trouble.replace("|", "\\|").split())
    return f"- {trial.kind}: {trial.attack}: {trial.target!r}, number {trial.number}: {trouble}"
