"""RLDS of others is read as it is meant, and what is damaged or hostile is one sentence."""

from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from synthetic import hashes_of, make_spec, synthetic_episodes, write_raw
from tensorflow_records import example, read_examples, read_records, write_records

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import ImageSpec
from parrot_data.errors import UserError
from parrot_data.exchange.rlds import FORMAT, writing
from parrot_data.exchange.rlds.example import Example, encode
from parrot_data.exchange.rlds.layout import dataset_name
from parrot_data.exchange.rlds.tfrecord import framed
from parrot_data.export import ExportParams, export
from parrot_data.import_ import ImportParams, import_episodes
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes

Record = dict[str, Sequence[Any]]
NUM_STEPS = 3


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    return {"tensor": {"dtype": dtype, "shape": {"dimensions": list(map(str, shape))}}}


def features_dict(features: Mapping[str, Any]) -> dict[str, Any]:
    return {"featuresDict": {"features": dict(features)}}


FEATURES = {
    "observation": features_dict({"state": tensor("float32", 2)}),
    "action": tensor("float32", 1),
    "is_terminal": tensor("bool"),
}


def record_of(**changes: Sequence[Any] | None) -> Record:
    made: dict[str, Any] = {
        "steps/observation/state": [float(number) for number in range(2 * NUM_STEPS + 2)],
        "steps/action": [0.5, -0.5, 0.25, 9.0],  # the last is nobody's
        "steps/is_terminal": [0] * NUM_STEPS + [1],
    }
    made |= {f"steps/{key}": values for key, values in changes.items()}
    return {key: values for key, values in made.items() if values is not None}


def dataset(folder: Path, records: Sequence[Record | bytes], **features: Any) -> Path:
    """A dataset of one file, as TFDS lays it."""
    place = folder / "theirs" / "1.0.0"
    place.mkdir(parents=True)
    steps = {"sequence": {"feature": features_dict({**FEATURES, **features}), "length": "-1"}}
    (place / "features.json").write_text(json.dumps(features_dict({"steps": steps})))
    split = {"name": "train", "shardLengths": [str(len(records))]}
    info = {"name": "theirs", "version": "1.0.0", "splits": [split]}
    (place / "dataset_info.json").write_text(json.dumps(info))
    made = [each if isinstance(each, bytes) else example(each) for each in records]
    write_records(place / "theirs-train.tfrecord-00000-of-00001", made)
    return place


def taken(source: Path, out: Path, **changes: object) -> list[Episode]:
    values = {"format": "rlds", "task": "reach", "success": "all", "bounds": None, **changes}
    import_episodes(ImportParams(**values), source, out, use_sidecar=False)
    manifest = load_manifest(out, "episodes")
    return list(read_episodes(manifest.tar_paths(out), manifest.spec))


def edit_json(place: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    said = json.loads((place / name).read_text())
    edit(said)
    (place / name).write_text(json.dumps(said))


# The wire


@settings(deadline=None)  # the machine may be busy
@given(
    blobs=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    floats=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50),
    flags=st.lists(st.booleans(), min_size=1, max_size=200),
)
def test_examples_are_those_of_protobuf(
    blobs: list[bytes], floats: list[float], flags: list[bool]
) -> None:
    features = {"a": blobs, "b": np.array(floats, np.float32), "c": np.array(flags)}
    ours = encode(features)
    assert ours == example({"a": blobs, "b": floats, "c": list(map(int, flags))})
    read = Example(ours)
    assert [bytes(each) for each in read.blobs("a", 5)] == blobs
    assert read.floats("b").tolist() == features["b"].tolist()
    assert read.integers("c", 200).tolist() == flags


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50))
def test_whole_numbers_are_those_of_protobuf(numbers: list[int]) -> None:
    assert Example(example({"n": numbers})).integers("n", 50).tolist() == numbers


@settings(deadline=None)  # the machine may be busy
@given(data=st.binary(max_size=200), at=st.integers(0, 100), cut=st.integers(0, 60))
def test_damaged_examples_raise_value_errors_alone(data: bytes, at: int, cut: int) -> None:
    whole = example({"a": [b"xyz", b""], "b": [1.0, 2.0], "c": [1, 2**40]})
    for damaged in (data, whole[:at] + data + whole[at:], whole[:cut]):
        try:
            read = Example(damaged)
            read.blobs("a", 9)
            read.floats("b")
            read.integers("c", 9)
        except ValueError:
            continue


def test_numbers_that_are_not_packed_are_read_too() -> None:
    one = b"\x0d" + struct.pack("<f", 1.5)  # field 1, 32 bits
    value = b"\x12" + bytes([len(one) * 2]) + one * 2  # a FloatList of two
    entry = b"\x0a\x01b\x12" + bytes([len(value)]) + value
    features = b"\x0a" + bytes([len(entry)]) + entry
    read = Example(b"\x0a" + bytes([len(features)]) + features)
    assert read.floats("b").tolist() == [1.5, 1.5]


# What others record


def test_the_last_step_has_an_observation_alone(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in", [record_of(reward=[1.0, 2.0, 3.0, 9.0])] * 2,
                     reward=tensor("float32"))  # fmt: skip
    for episode in taken(source, tmp_path / "out"):
        assert episode.actions.tolist() == [[0.5], [-0.5], [0.25]]
        assert episode.rewards.tolist() == [1.0, 2.0, 3.0]
        assert episode.observations["state"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert episode.terminated


def test_an_instruction_names_the_task_and_what_is_left_out_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = record_of(language_instruction=[b"pick it up"] * 4, camera=[7] * 4)
    text = {"text": {}}
    source = dataset(
        tmp_path / "in", [record], language_instruction=text, camera=tensor("int64")
    )  # fmt: skip
    (episode,) = taken(source, tmp_path / "out", task=None)
    assert episode.task == "pick it up"
    assert "of each episode, steps/camera are not kept" in caplog.text
    assert "language_instruction" not in caplog.text


def test_an_observation_without_a_name_and_nested_ones_have_one(tmp_path: Path) -> None:
    alone = record_of(observation=[float(n) for n in range(8)])
    del alone["steps/observation/state"]
    source = dataset(tmp_path / "a", [alone], observation=tensor("float64", 2))
    (episode,) = taken(source, tmp_path / "b")
    assert list(episode.observations) == ["state"]
    nested = features_dict({"arm": features_dict({"pose": tensor("int32", 2)})})
    record = record_of(**{"observation/arm/pose": [-1, 2, 3, 4, 5, 6, 7, 8]})
    source = dataset(tmp_path / "c", [record], observation=nested)
    (episode,) = taken(source, tmp_path / "d")
    assert episode.observations["arm_pose"].tolist() == [[-1, 2], [3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize("shape", [(5, 4, 3), ()])
def test_jpegs_are_read_and_depth_is_left_out(
    shape: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"dimensions": [str(side) for side in shape] or ["-1", "-1", "3"]}
    seen = {
        "front": {"image": {"shape": said, "dtype": "uint8", "encodingFormat": "jpeg"}},
        "depth": {"image": {"shape": {"dimensions": ["5", "4", "1"]}, "dtype": "uint16"}},
    }
    buffer = io.BytesIO()
    Image.new("RGB", (4, 5), (90, 90, 90)).save(buffer, "JPEG")
    record = record_of(**{"observation/front": [buffer.getvalue()] * 4})
    source = dataset(tmp_path / "in", [record], observation=features_dict(seen))
    (episode,) = taken(source, tmp_path / "out")
    assert episode.observations["front"].shape == (4, 5, 4, 3)
    assert abs(int(episode.observations["front"][0, 0, 0, 0]) - 90) < 3
    assert "steps/observation/depth" in caplog.text


def test_splits_are_read_one_after_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    file = place / "theirs-train.tfrecord-00000-of-00001"
    shutil.copy(file, place / "theirs-val.tfrecord-00000")
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
    split = {"name": "val", "shardLengths": ["1"], "filepathTemplate": template}
    edit_json(place, "dataset_info.json", lambda info: info["splits"].append(split))
    found = taken(tmp_path / "in", tmp_path / "out")
    assert [episode.facts["source"] for episode in found] == ["train/0", "val/0"]
    assert "the splits train, val are read one after another" in caplog.text


# What Parrot writes


def test_files_are_bounded_and_keep_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SHARD_BYTES", 2000)
    spec = make_spec({"camera": ImageSpec(height=9, width=8)}, 2)
    episodes = synthetic_episodes(7, spec=spec)
    source = write_raw(tmp_path / "in", episodes, spec)
    export(ExportParams(format="rlds", control_rate_hz=None), source, tmp_path / "out")
    (place,) = (tmp_path / "out").glob("parrot_*/*")
    files = sorted(place.glob("*.tfrecord-*"))
    assert len(files) > 2
    for file in files:
        records = read_records(file)
        assert sum(map(len, records[:-1])) < 2000
        assert file.name.endswith(f"-of-{len(files):05d}")
    (split,) = json.loads((place / "dataset_info.json").read_text())["splits"]
    assert split["shardLengths"] == [str(len(read_records(file))) for file in files]
    with FORMAT.open_recording(tmp_path / "out", "") as recording:
        for read, episode in zip(recording.trajectories, episodes, strict=True):
            np.testing.assert_array_equal(read.actions, episode.actions)
    values = {"format": "rlds", "task": None, "success": "all", "bounds": None}
    import_episodes(ImportParams(**values), tmp_path / "out", tmp_path / "back")
    manifest = load_manifest(tmp_path / "back", "episodes")
    back = read_episodes(manifest.tar_paths(tmp_path / "back"), manifest.spec)
    assert hashes_of(back) == hashes_of(episodes)


def test_ends_are_those_of_rlds(tmp_path: Path) -> None:
    spec = make_spec({"camera": ImageSpec(height=4, width=4)}, 2)
    episodes = synthetic_episodes(6, spec=spec)
    assert {episode.terminated for episode in episodes} == {False, True}
    source = write_raw(tmp_path / "in", episodes, spec)
    export(ExportParams(format="rlds", control_rate_hz=None), source, tmp_path / "out")
    (file,) = (tmp_path / "out").glob("parrot_*/*/*.tfrecord-*")
    for record, episode in zip(read_examples(file), episodes, strict=True):
        ended = episode.terminated
        steps = episode.num_steps
        assert list(record["steps/is_terminal"]) == [0] * steps + [int(ended)]
        assert list(record["steps/discount"]) == [1.0] * (steps - 1) + [float(not ended), 0.0]
        assert list(record["episode_metadata/task"]) == [episode.task.encode()]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("reach", "parrot_reach"),
        ("Pick & place!", "parrot_pick_place"),
        ("../ü", "parrot_episodes"),
        ("x" * 100, "parrot_" + "x" * 60),
    ],
)
def test_a_dataset_has_a_name_that_tensorflow_takes(title: str, name: str) -> None:
    assert dataset_name(title) == name


# What is refused


def refused(place: Path, word: str) -> None:
    with pytest.raises(UserError, match=word) as error:
        taken(place, place.parent / "out")
    assert "\n" not in str(error.value)
    assert not (place.parent / "out").exists()


def test_every_flipped_byte_is_seen(tmp_path: Path) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    path = place / "theirs-train.tfrecord-00000-of-00001"
    whole = path.read_bytes()
    for at in range(len(whole)):
        content = bytearray(whole)
        content[at] ^= 4
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged|ends too early"), FORMAT.open_recording(
            place, ""
        ) as recording:  # fmt: skip
            list(recording.trajectories)


@pytest.mark.parametrize("num_bytes", [0, 5, 11, 12, 40, -1])
def test_a_file_that_was_cut_is_refused(num_bytes: int, tmp_path: Path) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    path = place / "theirs-train.tfrecord-00000-of-00001"
    path.write_bytes(path.read_bytes()[:num_bytes])
    refused(place, "ends too early|has 0 records")


def test_a_length_that_is_a_lie_takes_no_memory(tmp_path: Path) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    head = struct.pack("<Q", 1 << 60)
    _, _, _, crc = framed(head)
    (place / "theirs-train.tfrecord-00000-of-00001").write_bytes(head + crc + bytes(100))
    refused(place, "ends too early")


@pytest.mark.parametrize(
    ("record", "features", "word"),
    [
        (b"nothing", {}, "damaged, or not what features.json says"),
        (b"", {}, "has no 'steps/action'"),
        (record_of(action=[1, 2, 3, 4]), {}, "no list of float"),
        (record_of(action=[1.0] * 3), {}, "4 rows beside 3 actions"),
        (record_of(action=[1.0] * 7), {"action": tensor("float32", 2)}, "7 numbers, of which 2"),
        (record_of(action=[1.0]), {}, "4 rows beside 1"),
        (record_of(action=None), {}, "has no 'steps/action'"),
        (record_of(), {"action": tensor("complex64", 1)}, "no plain numbers"),
        (record_of(), {"action": tensor("float32", 0)}, "no steps/action of numbers"),
        (record_of(), {"action": features_dict({"x": tensor("float32", 1)})}, "one vector"),
        (record_of(), {"action": {"tensor": {"dtype": "float32", "encoding": "zlib"}}}, "no steps"),
        (record_of(action=[float("nan")] * 4), {}, "not finite"),
        (record_of(extra=[1] * 9), {"extra": tensor("int64")}, None),
        (
            record_of(**{"observation/c": [b"no image"] * 4}),
            {"observation": features_dict({"c": {"image": {}}})},
            "damaged image",
        ),
        (
            record_of(**{"observation/c": [b"x"] * 4}),
            {"observation": features_dict({"c": {"image": {"shape": {
                "dimensions": ["4000", "4000000", "3"]}}}})},
            "more than 2147483648 bytes",
        ),
        (
            record_of(**{"observation/c": [1] * 4}),
            {"observation": features_dict({"c": tensor("int64", 1 << 29)})},
            "more than 2147483648 bytes",
        ),
    ],
)  # fmt: skip
def test_a_hostile_record_is_refused(
    record: Record | bytes, features: dict[str, Any], word: str | None, tmp_path: Path
) -> None:
    place = dataset(tmp_path / "in", [record], **features)
    if word is None:
        assert len(taken(place, tmp_path / "out")) == 1
    else:
        refused(place, word)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "../theirs"}, "describes no dataset"),
        ({"fileFormat": "array_record"}, "files of array_record: convert"),
        ({"splits": [{"name": "train", "shardLengths": ["2"]}]}, "has 1 records, .* 2"),
        ({"splits": [{"name": "train", "shardLengths": ["x"]}]}, "are no numbers"),
        ({"splits": [{"name": "train", "shardLengths": ["1", "1"]}]}, "is missing"),
        ({"splits": [{"name": "train", "shardLengths": []}]}, "says no episodes"),
        ({"splits": [{"name": "a/b", "shardLengths": ["1"]}]}, "no path within"),
        ({"splits": [7]}, "says no episodes"),
        ({"splits": [{"name": "a", "shardLengths": ["1"], "filepathTemplate": "/etc/passwd"}]},
         "no path within"),
        ({"splits": [{"name": "a", "shardLengths": ["1"], "filepathTemplate": "../{SPLIT}"}]},
         "no path within"),
    ],
)  # fmt: skip
def test_a_hostile_description_is_refused(
    change: dict[str, Any], word: str, tmp_path: Path
) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    edit_json(place, "dataset_info.json", lambda info: info.update(change))
    refused(place, word)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"featuresDict": 7}', "[" * 100_000])
def test_features_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    (place / "features.json").write_text(text)
    refused(place, "describes no features|no steps/action")


def test_features_in_each_other_without_end_are_refused(tmp_path: Path) -> None:
    place = dataset(tmp_path / "in", [record_of()])
    deep = tensor("float32")
    for _ in range(100):
        deep = features_dict({"a": deep})
    (place / "features.json").write_text(json.dumps(deep))
    refused(place, "describes no features")


def test_a_folder_of_several_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no dataset_info\.json"):
        taken(tmp_path, tmp_path / "out")
    place = dataset(tmp_path / "in", [record_of()])
    shutil.copytree(place, place.with_name("2.0.0"))
    with pytest.raises(UserError, match=r"several datasets, theirs/1\.0\.0, theirs/2\.0\.0"):
        taken(tmp_path / "in", tmp_path / "out")
