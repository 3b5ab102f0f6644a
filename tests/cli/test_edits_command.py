"""`parrot select`, `split`, `merge`, `append`: what they make tells its lineage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parrot_data.stores.manifest import MANIFEST, load_any_manifest
from parrot_data.stores.publish import sha256_file
from tests.cli.commands import parrot


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eight imported episodes of four steps."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "reach.npz",
        observations=rng.normal(size=(32, 3)).astype(np.float32),
        actions=rng.normal(size=(32, 2)).astype(np.float32),
        terminals=np.arange(32) % 4 == 3,
    )
    out = tmp_path / "source"
    assert parrot("import", tmp_path / "reach.npz", "--format", "npz", "--out", out).exit_code == 0
    return out


def test_a_chain_of_three_edits_shows_its_lineage(source: Path) -> None:
    parts, some, out = (source.with_name(name) for name in ("parts", "some", "out"))
    names = ("--names", "train,held-out", "--seed", "3")
    done = parrot("split", source, "--shares", "0.75,0.25", *names, "--out", parts)
    assert done.exit_code == 0, done.output
    assert "train     6" in done.output
    assert "held-out  2" in done.output
    done = parrot("select", parts / "train", "--where", "index >= 0", "--out", some)
    assert done.exit_code == 0, done.output
    done = parrot("merge", some, parts / "held-out", "--out", out)
    assert done.exit_code == 0, done.output
    assert load_any_manifest(out).num_episodes == 8
    assert parrot("verify", out).exit_code == 0
    told = parrot("info", out)
    assert told.exit_code == 0, told.output
    lines = {line.split("  ")[1]: line for line in told.output.splitlines()[1:]}
    for step, folder, edit in (
        ("lineage.parent 1", some, "merge, duplicates refuse"),
        ("lineage.parent 2", parts / "held-out", "merge, duplicates refuse"),
        ("lineage.ancestor 1", parts / "train", "select into"),
        ("lineage.ancestor 2", source, "split into"),
        ("lineage.ancestor 3", source, "split into"),
    ):
        assert sha256_file(folder / MANIFEST) in lines[step]
        assert edit in lines[step]
    told = parrot("info", parts)
    assert told.exit_code == 0
    assert "parts of a dataset" in told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("select", "SOURCE", "--where", "speed > 1"), "nothing is called speed; the names are "),
        (("select", "SOURCE", "--where", "not success"), "holds for none of 8 episodes"),
        (("select", "nowhere", "--where", "success"), "manifest.json is missing"),
        (("split", "SOURCE", "--shares", "half,half"), "--shares 'half,half' are no shares"),
        (("split", "SOURCE", "--shares", "1"), "--shares '1' are no shares"),
        (("split", "SOURCE", "--shares", "nan,0.5"), "are no shares"),
        (("split", "SOURCE", "--shares", "0.5,0.4"), "give positive numbers whose sum is 1"),
        (("split", "SOURCE", "--shares", "0.5,0.5", "--names", "a"), "names 1 parts"),
        (("merge", "SOURCE"), "merge needs two datasets or more"),
        (("merge", "SOURCE", "SOURCE"), "8 episodes are there twice, by content hash"),
        (("merge", "SOURCE", "SOURCE", "--duplicates", "keep"), "none of refuse, drop"),
        (("append", "SOURCE", "--episodes", "3"), "not all that one `parrot generate` made"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], said: str, source: Path) -> None:
    out = source.with_name("out")
    line = [str(source) if argument == "SOURCE" else argument for argument in arguments]
    done = parrot(*line, "--out", out)
    assert done.exit_code == 1, done.output
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("error: ")
    assert said in sentence
    assert not out.exists()
