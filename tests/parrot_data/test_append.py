"""What was appended to is what would have been generated at once, no episode of it twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from synthetic import SPEC, files_of, synthetic_episodes, write_raw
from test_generate import ENVIRONMENT, KWARGS, clear, collected, environment, run, wait_until

from parrot_data.append import AppendParams, append
from parrot_data.errors import UserError
from parrot_data.select import SelectParams, select
from parrot_data.stores.manifest import MANIFEST, load_any_manifest, load_manifest
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.sources import code_of
from parrot_data.stores.verify import verify
from tests.noting_world import BROKEN_AT, DELAY_S, LOG

CODE_OF = cache(code_of)
PROGRAM = """
import sys
from pathlib import Path
from parrot_data.append import AppendParams, append
if __name__ == "__main__":
    append(AppendParams(num_episodes=11), Path(sys.argv[1]), Path(sys.argv[2]), workers=1)
"""


@pytest.fixture(autouse=True)
def _code_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("append", "generate", "select"):
        monkeypatch.setattr(f"parrot_data.{stage}.code_of", CODE_OF)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 12 episodes, and all 23; not to be touched."""
    folder = tmp_path_factory.mktemp("made")
    run(folder / "old", num_episodes=12)
    run(folder / "whole")
    return folder


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every process notes the episodes that it begins."""
    (tmp_path / "log").mkdir()
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    return tmp_path / "log"


def appended(source: Path, out: Path, count: int, workers: int = 1) -> Path:
    append(AppendParams(num_episodes=count), source, out, workers=workers)
    return out


def assert_same_but_for_parents(out: Path, whole: Path) -> None:
    """Every file is the same, byte by byte, and of the manifest all but its lineage."""
    verify(out)
    found, wanted = files_of(out), files_of(whole)
    assert found.pop(MANIFEST) != wanted.pop(MANIFEST)
    assert found == wanted
    plain = {"parents": [], "ancestors": []}
    manifest = load_manifest(out, "episodes")
    assert manifest.model_copy(update=plain) == load_manifest(whole, "episodes")


# Files hold five episodes: appended at the end of one, in the middle of one, within one.
@pytest.mark.parametrize(
    ("old", "total", "workers"), [(10, 23, 1), (12, 23, 2), (11, 14, 1), (3, 5, 1)]
)
def test_appended_is_what_generate_makes_of_all_and_only_new_ones_are_simulated(
    tmp_path: Path, log: Path, old: int, total: int, workers: int
) -> None:
    run(tmp_path / "old", num_episodes=old)
    before = files_of(tmp_path / "old")
    clear(log)
    out = appended(tmp_path / "old", tmp_path / "out", total - old, workers)
    assert collected(log) == set(range(old, total))
    assert files_of(tmp_path / "old") == before
    run(tmp_path / "whole", num_episodes=total)
    assert_same_but_for_parents(out, tmp_path / "whole")
    (parent,) = load_any_manifest(out).parents
    assert parent.sha256 == sha256_file(tmp_path / "old" / MANIFEST)
    assert (parent.edit, parent.params) == ("append", {"num_episodes": total - old})
    assert parent.num_episodes == old


def test_what_was_appended_to_can_be_appended_to(made: Path, tmp_path: Path) -> None:
    run(tmp_path / "old", num_episodes=4)
    once = appended(tmp_path / "old", tmp_path / "once", 7)
    twice = appended(once, tmp_path / "twice", 12)
    assert_same_but_for_parents(twice, made / "whole")
    (ancestor,) = load_any_manifest(twice).ancestors
    assert ancestor.sha256 == sha256_file(tmp_path / "old" / MANIFEST)
    assert ancestor.child == sha256_file(once / MANIFEST)


@pytest.mark.parametrize("broken_at", [13, 18])
def test_an_interrupted_one_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Path, broken_at: int
) -> None:
    monkeypatch.setenv(BROKEN_AT, str(broken_at))
    with pytest.raises(UserError, match="too crowded"):
        appended(made / "old", tmp_path / "out", 11)
    monkeypatch.delenv(BROKEN_AT)
    clear(log)
    appended(made / "old", tmp_path / "out", 11)
    assert collected(log) == set(range(12 if broken_at == 13 else 15, 23))
    assert_same_but_for_parents(tmp_path / "out", made / "whole")


def test_killed_and_given_again_it_is_whole(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    before = files_of(made / "old")
    clear(log)
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, *map(str, (tmp_path / "program.py", made / "old", tmp_path / "out"))],
        env={**os.environ, DELAY_S: "0.1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    wait_until(lambda: 17 in collected(log))
    process.kill()
    process.wait()
    assert not (tmp_path / "out").exists()
    appended(made / "old", tmp_path / "out", 11)
    assert_same_but_for_parents(tmp_path / "out", made / "whole")
    assert files_of(made / "old") == before


def test_what_cannot_be_gone_on_with_is_said_in_one_sentence(made: Path, tmp_path: Path) -> None:
    recorded = write_raw(tmp_path / "recorded", synthetic_episodes(3), SPEC)
    select(SelectParams(where="index != 4"), made / "old", tmp_path / "some")
    for source in (recorded, tmp_path / "some"):
        with pytest.raises(UserError, match=f"{source} is not all that one `parrot generate` made"):
            appended(source, tmp_path / "out", 3)
    with pytest.raises(UserError, match="--workers"):
        appended(made / "old", tmp_path / "out", 3, workers=0)
    assert not (tmp_path / "out").exists()


def test_a_world_of_another_spec_by_now_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own_world_of_append.py"
    source.write_text("from tests.noting_world import NotingWorld as make\n")
    monkeypatch.syspath_prepend(tmp_path)
    world = environment("own_world_of_append:make", kwargs=KWARGS)
    run(tmp_path / "old", world=world, num_episodes=3)
    module = sys.modules.pop("own_world_of_append")
    assert module
    source.write_text(
        "from tests.noting_world import NotingWorld\n\n\n"
        "def make(**kwargs):\n"
        '    return NotingWorld(**{**kwargs, "images": {"camera": [4, 9]}})\n'
    )
    with pytest.raises(UserError, match=r"another one by now, in observations\.camera"):
        appended(tmp_path / "old", tmp_path / "out", 2)


def test_a_damaged_source_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "old", tmp_path / "old")
    for name in ("episodes-00000.tar", "episodes-00002.tar"):
        path = tmp_path / "old" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
        with pytest.raises(UserError, match=f"{name} was altered"):
            appended(tmp_path / "old", tmp_path / "out", 11)
        assert not (tmp_path / "out").exists()
        path.write_bytes(whole)


def test_the_environment_of_the_manifest_is_the_one_it_was_made_in(tmp_path: Path) -> None:
    """Of a world of ours, whose params have tuples and lists."""
    world = environment(
        "tabletop", image_size=16, proprioception=True, episode_steps=3,
        demonstrations={"action_noise": 0.1, "num_objects": [2, 3]},
    )  # fmt: skip
    tasks = {"pick": 1.0, "place": 1.0}
    run(tmp_path / "old", world=world, num_episodes=2, episodes_per_file=4, tasks=tasks)
    out = appended(tmp_path / "old", tmp_path / "out", 3)
    run(tmp_path / "whole", world=world, num_episodes=5, episodes_per_file=4, tasks=tasks)
    assert_same_but_for_parents(out, tmp_path / "whole")
    assert ENVIRONMENT.name != world.name
