"""What others recorded becomes a dataset like generate's own; what does not fit is told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign import FORMATS, Recorded, box, params, recorded, write, write_npz
from synthetic import files_of, filter_params, hashes_of, shard_params

from parrot_data import import_
from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.import_ import import_episodes
from parrot_data.shard import shard
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from tests.memory import peak_bytes

h5py = pytest.importorskip("h5py")


def imported(source: Path, format_: str, out: Path, success: str = "all") -> list:
    import_episodes(params(format_, success), source, out)
    manifest = load_manifest(out, "episodes")
    return list(read_episodes(manifest.tar_paths(out), manifest.spec))


def refusal(episodes: list[Recorded], format_: str, folder: Path) -> str:
    source = write(format_, episodes, folder / "source")
    with pytest.raises(UserError) as error:
        import_episodes(params(format_), source, folder / "out")
    assert "\n" not in str(error.value)
    assert not (folder / "out").exists()
    return str(error.value)


@pytest.mark.parametrize("format_", FORMATS)
def test_episodes_are_those_that_were_recorded(format_: str, tmp_path: Path) -> None:
    source = write(format_, recorded(), tmp_path / "source")
    for episode, wanted in zip(
        imported(source, format_, tmp_path / "out"), recorded(), strict=True
    ):
        for name, rows in wanted.observations.items():
            np.testing.assert_array_equal(episode.observations[name], rows)
        np.testing.assert_array_equal(episode.actions, wanted.actions)
        np.testing.assert_array_equal(episode.rewards, wanted.rewards)
        assert episode.task == "reach"
    verify(tmp_path / "out")


@pytest.mark.parametrize("format_", FORMATS)
def test_filter_and_shard_take_them(format_: str, tmp_path: Path) -> None:
    out, kept, shards = tmp_path / "out", tmp_path / "kept", tmp_path / "shards"
    episodes = imported(
        write(format_, recorded(5), tmp_path / "source"), format_, out, "last-reward>=1"
    )
    filter_episodes(filter_params(tasks=[]), out, kept)
    shard(shard_params(), out, kept, shards)
    manifest = load_manifest(shards, "shards")
    wanted = [episode for episode in episodes if episode.success]
    assert hashes_of(read_episodes(manifest.tar_paths(shards), manifest.spec)) == hashes_of(wanted)
    assert len(wanted) == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_source_gives_the_same_bytes_interrupted_or_not(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_, "EPISODES_PER_FILE", 2)
    source = write(format_, recorded(5), tmp_path / "source")
    import_episodes(params(format_), source, tmp_path / "whole")

    def stop(done: int, total: int, note: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_episodes(params(format_), source, tmp_path / "out", progress=stop)
    first = tmp_path / "out.partial" / "episodes-00000.tar"
    before = first.stat().st_ino
    inodes = []

    def look(done: int, total: int, note: str) -> None:
        inodes.append(first.stat().st_ino)

    import_episodes(params(format_), source, tmp_path / "out", progress=look)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert set(inodes) == {before}


@pytest.mark.parametrize(
    ("format_", "rule", "wanted"),
    [
        ("robomimic", "key=is_success", [False, True, False]),
        ("minari", "key=infos/is_success", [False, True, False]),
        ("npz", "key=is_success", [False, True, False]),
        ("npz", "key=terminals", [True, True, True]),
        ("npz", "key=rewards", [False, True, False]),
        ("npz", "last-reward>=0.9", [False, True, False]),
        ("npz", "length<6", [True, True, False]),
        ("npz", "all", [True, True, True]),
    ],
)
def test_success_is_what_the_rule_says(
    format_: str, rule: str, wanted: list[bool], tmp_path: Path
) -> None:
    source = write(format_, recorded(), tmp_path / "source")
    episodes = imported(source, format_, tmp_path / "out", rule)
    assert [episode.success for episode in episodes] == wanted


@pytest.mark.parametrize("rule", ["", "best", "length<-1", "last-reward>=nan", "key=", "length<x"])
def test_what_is_no_rule_is_refused(rule: str, tmp_path: Path) -> None:
    source = write("npz", recorded(), tmp_path / "source")
    with pytest.raises(UserError, match="is no rule: write last-reward>=R"):
        import_episodes(params("npz", rule), source, tmp_path / "out")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("key", ["nothing", "actions"])
def test_a_rule_on_what_is_no_flag_is_refused(format_: str, key: str, tmp_path: Path) -> None:
    source = write(format_, recorded(), tmp_path / "source")
    with pytest.raises(UserError, match=rf"{key}.*(name|names) (another key|no flag)"):
        import_episodes(params(format_, f"key={key}"), source, tmp_path / "out")


# What does not fit, by how the second of three episodes is spoilt.


def nan_in_actions(episode: Recorded) -> None:
    episode.actions[2, 1] = np.nan


def nan_in_state(episode: Recorded) -> None:
    episode.observations["state"][1, 0] = np.inf


def nan_in_rewards(episode: Recorded) -> None:
    episode.rewards[0] = np.nan


def too_large_for_float32(episode: Recorded) -> None:
    episode.observations["state"] = episode.observations["state"].astype(float)
    episode.observations["state"][0, 0] = 1e300


def other_keys(episode: Recorded) -> None:
    episode.observations["gripper"] = episode.observations.pop("state")


def another_width(episode: Recorded) -> None:
    episode.observations["state"] = episode.observations["state"][:, :2]


def wider_actions(episode: Recorded) -> None:
    episode.actions = np.zeros((len(episode.actions), 3), np.float32)


def other_lengths(episode: Recorded) -> None:
    episode.observations["state"] = episode.observations["state"][:-2]


def too_few_rewards(episode: Recorded) -> None:
    episode.rewards = episode.rewards[:-1]


def empty(episode: Recorded) -> None:
    episode.actions, episode.rewards = episode.actions[:0], episode.rewards[:0]
    episode.observations = {name: rows[:1] for name, rows in episode.observations.items()}


def float_images(episode: Recorded) -> None:
    episode.observations["camera"] = episode.observations["camera"] / np.float32(255)


def depth_images(episode: Recorded) -> None:
    episode.observations["camera"] = episode.observations["camera"][..., :1]


def beyond_bounds(episode: Recorded) -> None:
    episode.actions[3, 0] = 1.5


SPOILT: dict[Callable[[Recorded], None], tuple[str, tuple[str, ...]]] = {
    nan_in_actions: ("actions hold a number that is not finite (step 2 in dimension 1", FORMATS),
    nan_in_state: ("state hold a number that is not finite", FORMATS),
    nan_in_rewards: ("rewards hold a number that is not finite (step 0)", FORMATS),
    too_large_for_float32: ("state hold a number that is not finite", FORMATS),
    other_keys: ("camera, gripper, the episodes before it camera, state", FORMATS[:2]),
    another_width: ("state is float32 (2,), in the episodes before it (3,)", FORMATS[:2]),
    wider_actions: ("actions have 3 dimensions, in the episodes before it 2", FORMATS[:2]),
    other_lengths: ("rows for 5 actions: make their lengths agree", FORMATS[:2]),
    too_few_rewards: ("rewards of shape (4,) for 5 actions", FORMATS[:2]),
    empty: ("is empty: it has no action", FORMATS[:2]),
    float_images: ("camera is float32 (6, 5, 3), where an image is uint8", FORMATS[:2]),
    depth_images: ("camera is uint8 (6, 5, 1), where an image is uint8", FORMATS[:2]),
    beyond_bounds: ("beyond their bounds (step 3, dimension 0: 1.5", FORMATS[:2]),
}


@pytest.mark.parametrize(
    ("spoil", "format_"), [(spoil, name) for spoil, (_, names) in SPOILT.items() for name in names]
)
def test_an_episode_that_does_not_fit_is_refused_by_name(
    spoil: Callable[[Recorded], None], format_: str, tmp_path: Path
) -> None:
    episodes = recorded()
    spoil(episodes[1])
    said = refusal(episodes, format_, tmp_path)
    assert SPOILT[spoil][0] in said
    name = {
        "robomimic": "demo_1", "minari": "episode_1", "npz": "episode 1",
        "webdataset": "episode 000001",
    }[format_]  # fmt: skip
    assert name in said


@pytest.mark.parametrize("spoil", [float_images, depth_images])
def test_images_of_other_kinds_are_refused_in_npz_too(
    spoil: Callable[[Recorded], None], tmp_path: Path
) -> None:
    episodes = recorded()
    for episode in episodes:
        spoil(episode)
    assert "episode 0: the observation camera is" in refusal(episodes, "npz", tmp_path)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_constant_dimension_is_said(
    format_: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    episodes = recorded()
    for episode in episodes:
        episode.observations["state"][:, 1] = 0.5
        episode.actions[:, 0] = 0.0
    import_episodes(params(format_), write(format_, episodes, tmp_path / "s"), tmp_path / "out")
    assert "observation state has the dimensions [1], which are the same" in caplog.text
    assert "the action has the dimensions [0], which are the same" in caplog.text


@pytest.mark.parametrize("format_", FORMATS)
def test_names_are_mapped_and_said(
    format_: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    episodes = recorded()
    for episode in episodes:
        episode.observations = {"arm-pos.0": episode.observations["state"].astype(float)}
    source = write(format_, episodes, tmp_path / "s")
    (first, *_) = imported(source, format_, tmp_path / "out")
    assert list(first.observations) == ["arm_pos_0"]
    assert "the observation arm-pos.0 is called arm_pos_0" in caplog.text
    assert "arm-pos.0: float64 is rounded to float32" in caplog.text


@pytest.mark.parametrize("format_", FORMATS)
def test_names_that_would_be_one_are_refused(format_: str, tmp_path: Path) -> None:
    episodes = recorded()
    for episode in episodes:
        state = episode.observations["state"]
        episode.observations = {"arm-pos": state, "arm_POS": state}
    assert "would both be called" in refusal(episodes, format_, tmp_path)


def test_without_a_last_observation_the_last_action_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write("robomimic", recorded(), tmp_path / "s")
    with h5py.File(source, "a") as file:
        for demo in file["data"].values():
            del demo["next_obs"]
    for episode, wanted in zip(
        imported(source, "robomimic", tmp_path / "out"), recorded(), strict=True
    ):
        np.testing.assert_array_equal(episode.actions, wanted.actions[:-1])
        state = wanted.observations["state"][:-1]
        np.testing.assert_array_equal(episode.observations["state"], state)
    assert "that action is dropped" in caplog.text


def test_what_a_format_tells_stands_in_the_spec(tmp_path: Path) -> None:
    specs = {}
    for format_ in FORMATS:
        source = write(format_, recorded(), tmp_path / format_)
        import_episodes(params(format_, task=None), source, tmp_path / f"{format_}-out")
        manifest = load_manifest(tmp_path / f"{format_}-out", "episodes")
        (task,) = {entry.task for entry in manifest.entries(tmp_path / f"{format_}-out")}
        specs[format_] = (task, manifest.spec.action.low, manifest.spec.control_rate_hz)
    assert specs == {
        "robomimic": ("Lift", [-1.0, -1.0], 20.0),
        "minari": ("arm/reach-v0", [-1.0, -1.0], None),
        "npz": ("reach", None, None),
        "webdataset": ("lift", None, None),
    }


def test_bounds_that_no_npz_can_say_are_told(tmp_path: Path) -> None:
    source, out = write_npz(recorded(), tmp_path), tmp_path / "out"
    import_episodes(params("npz", bounds=(-1.0, 2.0)), source, out)
    action = load_manifest(out, "episodes").spec.action
    assert (action.low, action.high) == ([-1.0, -1.0], [2.0, 2.0])
    with pytest.raises(UserError, match="beyond their bounds"):
        import_episodes(params("npz", bounds=(-0.1, 0.1)), source, out)


@pytest.mark.parametrize("bounds", [(1.0, -1.0), (0.0, 0.0), (np.nan, 1.0), (-np.inf, np.inf)])
def test_bounds_that_bound_nothing_are_refused(bounds: tuple, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bound nothing"):
        import_episodes(params("npz", bounds=bounds), write_npz(recorded(), tmp_path), tmp_path)


@pytest.mark.parametrize("format_", ["robomimic", "minari"])
def test_a_format_that_says_its_bounds_is_not_told_others(format_: str, tmp_path: Path) -> None:
    source = write(format_, recorded(), tmp_path / "source")
    with pytest.raises(UserError, match=f"{format_} says those of its actions"):
        import_episodes(params(format_, bounds=(-2.0, 2.0)), source, tmp_path / "out")


def test_what_cannot_be_kept_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write("robomimic", recorded(), tmp_path / "s")
    import_episodes(params("robomimic"), source, tmp_path / "out")
    assert "of each demonstration, states are not kept" in caplog.text
    assert "the splits train (mask) are not kept" in caplog.text
    assert "every episode counts as a success" in caplog.text


def test_minaris_jpeg_images_are_decoded(tmp_path: Path) -> None:
    import io

    from PIL import Image

    source = write("minari", recorded(), tmp_path / "s")
    metadata = json.loads((source / "data/metadata.json").read_text())
    space = {"type": "Box", "dtype": "uint8", "shape": [32, 40, 3], "low": 0, "high": 255}
    spaces = {"type": "Dict", "subspaces": {"camera": space}}
    metadata["observation_space"] = json.dumps(spaces)
    (source / "data/metadata.json").write_text(json.dumps(metadata))
    with h5py.File(source / "data/main_data.hdf5", "a") as file:
        for group in file.values():
            count = len(group["actions"]) + 1
            del group["observations/camera"]
            images = group["observations"].create_dataset(
                "camera", (count,), h5py.vlen_dtype(np.uint8)
            )
            for step in range(count):
                buffer = io.BytesIO()
                Image.new("RGB", (40, 32), (0, 0, 10 * step)).save(buffer, "JPEG")
                images[step] = np.frombuffer(buffer.getvalue(), np.uint8)
    (first, *_) = imported(source, "minari", tmp_path / "out")
    camera = first.observations["camera"]
    assert camera.shape == (5, 32, 40, 3)
    assert np.abs(camera[:, 0, 0, 2].astype(int) - 10 * np.arange(5)).max() <= 3


def test_unbounded_spaces_of_minari_give_no_bounds(tmp_path: Path) -> None:
    source = write("minari", recorded(), tmp_path / "s")
    path = source / "data/metadata.json"
    metadata = json.loads(path.read_text())
    metadata["action_space"] = box([float("-inf")] * 2, [float("inf")] * 2)
    path.write_text(json.dumps(metadata))
    import_episodes(params("minari"), source, tmp_path / "out")
    assert load_manifest(tmp_path / "out", "episodes").spec.action.low is None


def test_ogbenchs_rows_lose_the_last_action_of_each_episode(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(9, 3)).astype(np.float32)
    actions = rng.uniform(-1, 1, (9, 2)).astype(np.float32)
    terminals = np.isin(np.arange(9), (3, 8)).astype(np.float32)
    path = tmp_path / "cube.npz"
    np.savez_compressed(path, observations=observations, actions=actions, terminals=terminals)
    first, second = imported(path, "npz", tmp_path / "out")
    np.testing.assert_array_equal(first.observations["state"], observations[:4])
    np.testing.assert_array_equal(first.actions, actions[:3])
    np.testing.assert_array_equal(second.observations["state"], observations[4:])
    assert not first.terminated


def test_an_episode_of_one_row_is_refused(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        observations=np.zeros((3, 2)),
        actions=np.zeros((3, 2)),
        terminals=[1, 0, 1],
    )
    with pytest.raises(UserError, match="episode 0 is of one action without an observation after"):
        import_episodes(params("npz"), tmp_path / "a.npz", tmp_path / "out")


# Hostile files


def rewritten(path: Path, **changes: np.ndarray | None) -> Path:
    with np.load(path) as archive:
        arrays = {**dict(archive), **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret": np.array([{1: 2}], dtype=object)}, "secret is pickled, and nothing is"),
        ({"actions": None}, "has no actions, only"),
        ({"terminals": None}, "has no terminals, only"),
        ({"terminals": np.zeros(15)}, "no row is marked in terminals"),
        ({"terminals": np.full(15, 2)}, "terminals holds other numbers than 0 and 1"),
        ({"terminals": np.ones(4)}, "(4,) for 15 actions"),
        ({"rewards": np.ones(4)}, "rewards is of shape (4,), actions have 15 rows"),
        ({"actions": np.array(["a"] * 15)}, "no plain numbers"),
        ({"actions": np.zeros(15)}, "actions are of shape"),
        ({"actions": np.asfortranarray(np.zeros((15, 2)))}, "is stored by columns"),
    ],
)
def test_a_spoilt_npz_is_refused(changes: dict, said: str, tmp_path: Path) -> None:
    path = rewritten(write_npz(recorded(), tmp_path), **changes)
    with pytest.raises(UserError) as error:
        import_episodes(params("npz"), path, tmp_path / "out")
    assert said in str(error.value)


def test_an_npz_that_claims_a_huge_shape_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = write_npz(recorded(), tmp_path)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (15, 1000000000000), }"
    with zipfile.ZipFile(path, "a") as archive:
        text = header.ljust(117) + b"\n"
        archive.writestr("huge.npy", b"\x93NUMPY\x01\x00\x76\x00" + text)
    with pytest.raises(UserError, match="huge is not of the size that it claims"):
        import_episodes(params("npz"), path, tmp_path / "out")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", ["garbage", "cut", "missing", "fifo"])
def test_a_damaged_source_is_one_sentence(format_: str, kind: str, tmp_path: Path) -> None:
    source = write(format_, recorded(), tmp_path / "s")
    path = source / "data/main_data.hdf5" if format_ == "minari" else source
    data = path.read_bytes()
    path.unlink()
    if kind == "garbage":
        path.write_bytes(b"PK\x03\x04 \x89HDF nothing")
    elif kind == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(UserError):
        import_episodes(params(format_), source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def link_outside(demo: h5py.Group, folder: Path) -> None:
    with h5py.File(folder / "other.hdf5", "w") as other:
        other["actions"] = np.zeros((5, 2))
    demo["actions"] = h5py.ExternalLink(str(folder / "other.hdf5"), "/actions")


def stored_outside(demo: h5py.Group, folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(40))
    demo.create_dataset("actions", (5, 2), "f4", external=[(str(folder / "raw"), 0, 40)])


def huge(demo: h5py.Group, folder: Path) -> None:
    demo.create_dataset("actions", (900_000, 60_000), "f4", chunks=(1, 60_000))


def too_long(demo: h5py.Group, folder: Path) -> None:
    demo.create_dataset("actions", (10**12, 2), "f4", chunks=(1000, 2))


def texts(demo: h5py.Group, folder: Path) -> None:
    demo["actions"] = ["a", "b"]


def a_group(demo: h5py.Group, folder: Path) -> None:
    demo.create_group("actions")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (link_outside, "demo_1/actions is a link to elsewhere"),
        (stored_outside, "demo_1/actions lies in another file"),
        (huge, "has more than 2147483648 bytes"),
        (too_long, "has 1000000000000 rows"),
        (texts, "no plain numbers"),
        (a_group, "demo_1/actions is no array"),
    ],
)
def test_a_hostile_hdf5_is_refused(
    spoil: Callable[[h5py.Group, Path], None], said: str, tmp_path: Path
) -> None:
    source = write("robomimic", recorded(), tmp_path / "s")
    with h5py.File(source, "a") as file:
        demo = file["data/demo_1"]
        del demo["actions"]
        spoil(demo, tmp_path)
    with pytest.raises(UserError) as error:
        import_episodes(params("robomimic"), source, tmp_path / "out")
    assert said in str(error.value)


@pytest.mark.parametrize("format_", FORMATS[:2])
def test_a_group_in_itself_is_refused(format_: str, tmp_path: Path) -> None:
    source = write(format_, recorded(), tmp_path / "s")
    path = source / "data/main_data.hdf5" if format_ == "minari" else source
    with h5py.File(path, "a") as file:
        group = file["data/demo_1/obs" if format_ == "robomimic" else "episode_1/observations"]
        for name in "abcdefgh":
            group[name] = group
    with pytest.raises(UserError, match="is one in itself"):
        import_episodes(params(format_), source, tmp_path / "out")


def test_nested_observations_of_minari_are_named_as_worlds_name_them(tmp_path: Path) -> None:
    episodes = recorded()
    for episode in episodes:
        episode.observations = {"arm/state": episode.observations["state"]}
    (first, *_) = imported(write("minari", episodes, tmp_path / "s"), "minari", tmp_path / "out")
    assert list(first.observations) == ["arm_state"]


def test_memory_holds_an_episode_and_not_the_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4000, 32, 32, 3), dtype=np.uint8)
    ends = np.arange(len(rows)) % 100 == 99
    actions = np.zeros((len(rows), 2), np.float32)
    np.savez(tmp_path / "a.npz", observations=rows, actions=actions, terminals=ends)
    peak = peak_bytes(lambda: import_episodes(params("npz"), tmp_path / "a.npz", tmp_path / "out"))
    assert peak < rows.nbytes / 2


@pytest.mark.parametrize("key", ["../../etc/passwd", "/data/demo_0/actions", "obs//state", "."])
def test_a_key_leads_nowhere_else(key: str, tmp_path: Path) -> None:
    source = write("robomimic", recorded(), tmp_path / "s")
    with pytest.raises(UserError):
        import_episodes(params("robomimic", f"key={key}"), source, tmp_path / "out")


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write("robomimic", recorded(), tmp_path / "s")
    monkeypatch.setattr("parrot_data.exchange.hdf5.h5py", None)
    with pytest.raises(UserError, match=r"parrot-priors\[exchange\]"):
        import_episodes(params("robomimic"), source, tmp_path / "out")


def test_the_output_of_an_import_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    source = write("npz", recorded(), tmp_path / "s")
    import_episodes(params("npz"), source, tmp_path / "out")
    import_episodes(params("npz", "length<6"), source, tmp_path / "out")
    shutil.copy(source, tmp_path / "out" / "mine.npz")
    with pytest.raises(UserError, match=r"mine\.npz"):
        import_episodes(params("npz"), source, tmp_path / "out")
    with pytest.raises(UserError):
        import_episodes(params("npz"), source, source.parent)
