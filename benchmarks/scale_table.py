"""From ten thousand episodes to a hundred million, by arithmetic from what was measured.

    python -m benchmarks.scale_table params.yaml docs/scale.md RESULTS.json ...

writes the table of docs/scale.md anew, between the comments that mark it, of one kind of machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.table import spelt, table_line, with_table
from parrot_data.errors import UserError
from parrot_data.stores.publish import MAX_JSON_BYTES, read_json

PLACE = "scale table"
EPISODES = (10**4, 10**5, 10**6, 10**7, 10**8)
UNMEASURED = "not measured"
MS_AN_HOUR = 3_600_000


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{spelt(count)} {unit}"
        count /= 1000
    return f"{spelt(count)} TB"


def _hours(milliseconds: float) -> str:
    hours = milliseconds / MS_AN_HOUR
    return f"{spelt(hours)} h" if hours >= 1 else f"{spelt(60 * hours)} min"


# What a row of the table is made of: its name, the row of the benchmark, and how it is told
ROWS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("raw episodes", "size, a raw episode", _bytes),
    ("shards, both stores", "size, a sharded episode", _bytes),
    ("`episodes.jsonl`", "size, an entry", _bytes),
    ("generate, one core", "growth of cost, generate", _hours),
    ("gather, in its one process", "a million entries, cost, gather", _hours),
    ("filter, one process", "a million entries, cost, filter", _hours),
    ("shard, one core", "growth of cost, shard", _hours),
    ("shard, of that in one process", "shard, the part of one process", _hours),
    ("verify, one process", "growth of cost, verify", _hours),
    ("diff of entries, one process", "a million entries, cost, diff", _hours),
)


def scale_table(results: Sequence[Mapping[str, Any]], episodes_per_file: int) -> str:
    """The table, and where the first hard limit lies, as Markdown.

    Args:
        results: what each results.json holds; a row that all of them lack is told as such.
        episodes_per_file: of raw episodes.

    Raises:
        UserError: they are of several kinds of processors, whose costs are not to be added up.
    """
    cpus = {each["machine"]["cpu"] for each in results}
    if len(cpus) != 1:
        raise UserError(f"the results are of several processors ({', '.join(sorted(cpus))})")
    measured = {row["name"]: row["ours"] for each in results for row in each["rows"]}
    heads = ["", *(f"{count:,}" for count in EPISODES)]
    lines = [table_line(heads), table_line(["---"] + ["---:"] * len(EPISODES))]
    for name, source, spell in ROWS:
        value = measured.get(source)
        cells = [UNMEASURED if value is None else spell(value * count) for count in EPISODES]
        lines.append(table_line([name, *cells]))
    files = [-(-count // episodes_per_file) for count in EPISODES]
    lines.append(table_line(["tars of raw episodes", *(f"{count:,}" for count in files)]))
    of_file = measured.get("size, a file in a manifest")
    sizes = [UNMEASURED if of_file is None else _bytes(of_file * count) for count in files]
    lines.append(table_line(["`manifest.json` of these", *sizes]))
    lines += ["", _limit(of_file, episodes_per_file)]
    commits = ", ".join(dict.fromkeys(each["code"]["commit"] for each in results))
    return "\n".join([*lines, "", f"Measured on: {cpus.pop()}, by the code of {commits}.", ""])


def _limit(of_file: float | None, episodes_per_file: int) -> str:
    most = f"{MAX_JSON_BYTES:,} bytes, the most that is read of a JSON file,"
    if of_file is None:
        return f"Where `manifest.json` reaches {most} is {UNMEASURED}."
    count = int(MAX_JSON_BYTES / of_file) * episodes_per_file
    return f"`manifest.json` reaches {most} at {count:,} episodes of {episodes_per_file:,} a file."


def table_of(params: Path, results: Sequence[Path]) -> str:
    """The table of files."""
    generate = yaml.safe_load(params.read_text(encoding="utf-8"))["generate"]
    return scale_table([read_json(path) for path in results], generate["episodes_per_file"])


def main(params: str, page: str, *results: str) -> None:
    """Write the table into the page."""
    path = Path(page)
    table = table_of(Path(params), sorted(map(Path, results)))
    text = with_table(path.read_text(encoding="utf-8"), PLACE, table)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
