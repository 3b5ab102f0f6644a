"""Where the time goes: one second of generation and one of fine-tuning, function by function."""

from __future__ import annotations

import cProfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import process_time

from benchmarks.agents import make_learner
from benchmarks.datasets import demonstrations
from benchmarks.machine import describe_code, describe_machine
from benchmarks.setting import Values
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.file import begins_with, file_to_write

PROFILED_S = 5.0  # under the profiler; shares are of one second
LEAST_MS = 4.0  # of a second; what takes less is summed up
OWN_PACKAGES = ("parrot_data", "parrot_models", "benchmarks")
LEARNING_EPISODES = 400  # more than a profile gets through

# By file, line and function: primitive calls, calls, own time in s, time with callees, callers.
Stats = Mapping[tuple[str, int, str], tuple[int, int, float, float, object]]


@dataclass(frozen=True)
class Share:
    """A function's own time, without that of what it calls: ms and calls in a second."""

    name: str
    own_ms: float
    calls: float


def write_profile(
    values: Values, checkout: Path, out: Path, *, progress: Progress = silent
) -> Path:
    """Profile both on one core and write `profile.md` into `out`.

    Args:
        values: of params.yaml.
        checkout: folder of params.yaml.
        out: folder to write into.
        progress: called before both parts.

    Returns:
        The file.
    """
    path = file_to_write(out / "profile.md", "profile", begins_with("# Where a second goes\n"))
    progress(0, 2, "generation")
    generation = shares_of(_generation(values))
    progress(1, 2, "fine-tuning")
    finetuning = shares_of(_finetuning(values))
    progress(2, 2, "done")
    parts = [
        "# Where a second goes",
        _described(checkout),
        "Python's profiler slows what makes many small calls, so Python's share is an upper bound. "
        "A function's time is its own, without what it calls.",
        "## One second of generation (scripted episodes, one core)",
        _table(generation),
        "## One second of fine-tuning (PARROT, cached features, one update a step, one core)",
        _table(finetuning),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def shares_of(work: Callable[[], object], seconds: float = PROFILED_S) -> list[Share]:
    """Profile calls of `work` for some seconds; shares of a second, the greatest first.

    Functions that take less than `LEAST_MS` of it become one share, the last.
    """
    work()  # what is made once belongs to no second
    profile = cProfile.Profile(process_time)
    stats: Stats = {}
    while (total := _seconds(stats)) < seconds:
        profile.runcall(work)
        stats = _stats(profile)
    found = [
        Share(_name(*function), 1e3 * own / total, calls / total)
        for function, (_, calls, own, _, _) in stats.items()
    ]
    large = sorted((s for s in found if s.own_ms >= LEAST_MS), key=lambda s: -s.own_ms)
    small = [share for share in found if share.own_ms < LEAST_MS]
    rest = f"{len(small)} more functions, each less than {LEAST_MS:.0f} ms"
    return [*large, Share(rest, sum(s.own_ms for s in small), sum(s.calls for s in small))]


def _generation(values: Values) -> Callable[[], None]:
    simulated, indices = demonstrations(values), count()

    def work() -> None:
        simulated.episode(next(indices))

    return work


def _finetuning(values: Values) -> Callable[[], object]:
    steps = LEARNING_EPISODES * values.tabletop.episode_steps
    learner, _ = make_learner(values, "features", steps)
    while learner.env_steps <= learner.schedule.warmup_steps:
        learner.run_round()

    return learner.run_round


def _seconds(stats: Stats) -> float:
    return sum(own for _, _, own, _, _ in stats.values())


def _stats(profile: cProfile.Profile) -> Stats:
    profile.create_stats()
    return profile.stats


def _name(file: str, _line: int, function: str) -> str:
    """A built-in by its own name, Python code by package or path and function."""
    if file == "~":
        return function.strip("<>").removeprefix("built-in method ")
    parts = Path(file).parts
    own = next((parts.index(package) for package in OWN_PACKAGES if package in parts), None)
    if own is not None:
        return f"{'/'.join(parts[own:])}: {function}"
    if "site-packages" in parts:
        return f"{parts[parts.index('site-packages') + 1]}: {function}"
    return f"{Path(file).stem}: {function}"


def _table(shares: Sequence[Share]) -> str:
    rows = [f"| {s.name} | {s.own_ms:.0f} | {s.calls:,.0f} |" for s in shares]
    return "\n".join(["| function | ms | calls |", "|---|---:|---:|", *rows])


def _described(checkout: Path) -> str:
    about = {**describe_code(checkout), **describe_machine()}
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in about.items())
