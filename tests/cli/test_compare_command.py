"""`parrot diff` and `parrot regenerate`: what they print, and what they exit with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import load_manifest, save_manifest
from parrot_data.stores.records import file_entry
from parrot_data.stores.tar_shards import read_episodes, write_shard
from tests.cli.commands import parrot

ROOT = Path(__file__).parents[2]
WORLD = "{name: 'tests.toy_world:make_world', kwargs: {action_dim: 3, images: {}, max_steps: 8}}"
OTHERS = (
    "finetune.tasks=[reach-near]", "judge.families=[]", "judge.probe=null", "explore.families=[]",
)  # fmt: skip


def generated(out: Path, seed: int, num_episodes: int) -> Path:
    values = (
        f"environment={WORLD}", "generate.tasks={reach-near: 1.0}", f"generate.seed={seed}",
        f"generate.num_episodes={num_episodes}", *OTHERS,
    )  # fmt: skip
    overrides = [part for value in values for part in ("--set", value)]
    done = parrot("generate", "--params", ROOT / "params.yaml", *overrides, "--out", out)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("compared") / "few", 0, 4)


@pytest.fixture(scope="module")
def more(few: Path) -> Path:
    return generated(few.with_name("more"), 0, 6)


@pytest.fixture
def altered(few: Path, tmp_path: Path) -> Path:
    """The same with another action in episode 2, and the manifest made anew."""
    manifest = load_manifest(few, "episodes")
    episodes = list(read_episodes(few, manifest.spec))
    episodes[2].actions[0, 1] += 0.5
    (tmp_path / "altered").mkdir()
    tar, entries = (tmp_path / "altered" / n for n in ("episodes-00000.tar", "episodes.jsonl"))
    write_shard(tar, episodes, zstd_level=3)
    entries.write_text("".join(line_of(entry_of(episode)) for episode in episodes))
    file = manifest.files[0].model_copy(update=file_entry(tar.parent, tar).model_dump())
    update = {"files": [file], "episodes": file_entry(tar.parent, entries)}
    save_manifest(tar.parent, manifest.model_copy(update=update))
    assert parrot("verify", tar.parent).exit_code == 0
    return tar.parent


def test_what_differs_is_printed_and_exits_with_0(few: Path, more: Path, tmp_path: Path) -> None:
    done = parrot("diff", few, more, "--json", tmp_path / "d.json")
    assert done.exit_code == 0, done.output
    assert f"A  {few}: 4 episodes" in done.stdout
    assert "4 episodes in common" in done.stdout
    assert "2 added: 4, 5" in done.stdout
    assert "generate.num_episodes" in done.stdout
    assert "largest drift of a mean: " in done.stdout
    value = json.loads((tmp_path / "d.json").read_text())
    assert [each["index"] for each in value["episodes"]["added"]] == [4, 5]
    assert value["params"] == [{"name": "generate.num_episodes", "a": 4, "b": 6}]
    again = parrot("diff", more, few, "--by-task", "--json", tmp_path / "d.json")
    assert again.exit_code == 0, again.output
    assert "2 removed: 4, 5" in again.stdout
    assert "of reach-near, by " in again.stdout


def test_nothing_differs_in_a_line(few: Path) -> None:
    done = parrot("diff", few, few)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[2:] == ["no difference: the same episodes, params and spec"]


def test_a_file_that_is_no_difference_is_left_alone(few: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    note.write_text('{"a": 1}')
    for target, words in ((note, "is no output of"), (tmp_path, "is a folder")):
        done = parrot("diff", few, few, "--json", target)
        assert done.exit_code == 1
        assert words in done.stderr
    assert note.read_text() == '{"a": 1}'


def test_what_comes_out_as_it_is_exits_with_0(few: Path) -> None:
    done = parrot("regenerate", few, "--episodes", "3", "--workers", "1")
    assert done.exit_code == 0, done.output
    wanted = f"{few}: 3 of 3 episodes, of 4 that it holds, come out as they are in it"
    assert done.stdout.splitlines()[-1] == wanted


def test_what_does_not_is_named_with_numbers_and_exits_with_1(altered: Path) -> None:
    done = parrot("regenerate", altered, "--episodes", "4", "--workers", "1")
    assert done.exit_code == 1, done.output
    assert "3 of 4 episodes" in done.stdout
    assert "episode 2 (reach-near): from step 0, actions by 0.5" in done.stdout
    assert "other content" in done.stdout
    assert "0.001 of" in done.stdout
    assert "0.01 and more" in done.stdout
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("diff", "afile", "adir"), "afile is a file"),
        (("diff", "adir", "adir"), "manifest.json is missing"),
        (("diff", "adir"), "B"),
        (("diff", "x" * 300, "adir"), "300 bytes"),
        (("diff", "adir@HEAD", "adir"), "lies in no repository of DVC"),
        (("diff", "adir", "adir", "--json", "absent/x.json"), "absent is no folder"),
        (("regenerate", "adir", "--episodes", "0"), "--episodes"),
        (("regenerate", "adir"), "--episodes"),
        (("regenerate", "adir", "--episodes", "1", "--seed", "-1"), "--seed"),
        (("regenerate", "adir", "--episodes", "1"), "manifest.json is missing"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adir").mkdir()
    (tmp_path / "afile").touch()
    before = sorted(tmp_path.rglob("*"))
    done = parrot(*arguments)
    assert done.exit_code in (1, 2)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
