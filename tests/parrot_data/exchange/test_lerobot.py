"""LeRobot's format: files as LeRobot itself writes them, and whatever it can read imports.

LeRobot excludes our torch, so that it is asked by `make check-lerobot`; docs/lerobot_check.txt is
what it said. The types below are those of the files that it wrote there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic import SPECS, files_of, hashes_of, make_spec, synthetic_episode, synthetic_episodes

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec, VectorSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions
from parrot_data.exchange.formats import FORMATS
from parrot_data.exchange.lerobot import statistics, table_writer, tables, video, writing
from parrot_data.exchange.recording import Trajectory
from parrot_data.import_ import ImportParams, import_episodes
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("av")

FORMAT, VIDEO = FORMATS["lerobot"], FORMATS["lerobot-video"]
SPEC = make_spec({"camera": ImageSpec(height=6, width=8), "joints": VectorSpec(dim=3)}, 2)
DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
IMAGE = "observation.images.camera"


def write(
    out: Path,
    episodes: list[Episode],
    spec: EpisodeSpec = SPEC,
    rate: float | None = 10.0,
    format_: Any = FORMAT,
) -> Path:
    out.mkdir(parents=True)
    tasks = tuple(sorted({episode.task for episode in episodes}))
    options = ExportOptions(tasks, sum(episode.num_steps for episode in episodes), rate)
    format_.write(iter(episodes), spec, len(episodes), out, options)
    return out


def read(source: Path, key: str = "") -> list[Trajectory]:
    with FORMAT.open_recording(source, key) as recording:
        return list(recording.trajectories)


def must_be(found: list[Trajectory], episodes: list[Episode]) -> None:
    for trajectory, episode in zip(found, episodes, strict=True):
        told = (trajectory.task, trajectory.terminated)
        assert told == (episode.task, episode.terminated)
        np.testing.assert_array_equal(trajectory.actions, episode.actions)
        np.testing.assert_array_equal(trajectory.rewards, episode.rewards)
        assert trajectory.observations.keys() == episode.observations.keys()
        for name, rows in episode.observations.items():
            np.testing.assert_array_equal(trajectory.observations[name], rows[:-1], strict=True)


# What is written


def test_columns_and_types_are_those_that_lerobot_writes(tmp_path: Path) -> None:
    out = write(tmp_path / "out", synthetic_episodes(3, spec=SPEC))
    data = {each.name: str(each.type) for each in parquet.read_schema(out / DATA)}
    number, flag = "int64", "bool"
    assert list(data.items()) == [
        (IMAGE, "struct<bytes: binary, path: string>"),
        ("observation.state", "fixed_size_list<element: float>[3]"),
        ("action", "fixed_size_list<element: float>[2]"),
        ("next.reward", "float"), ("next.done", flag), ("next.truncated", flag),
        ("next.success", flag), ("timestamp", "float"), ("frame_index", number),
        ("episode_index", number), ("index", number), ("task_index", number),
    ]  # fmt: skip
    listed = {each.name: str(each.type) for each in parquet.read_schema(out / EPISODES)}
    wanted = {"episode_index": number, "tasks": "list<element: string>", "length": number}
    wanted |= {f"data/{each}_index": number for each in ("chunk", "file")}
    wanted |= {f"dataset_{each}_index": number for each in ("from", "to")}
    for key, kind in data.items():
        for name in ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"):
            inner = {"bool": "bool", "int64": "int64"}.get(kind, "double")
            inner = inner if name in ("min", "max") else "double"
            inner = "int64" if name == "count" else inner
            inner = f"list<element: {inner}>"
            if key == IMAGE and name != "count":
                inner = f"list<element: list<element: {inner}>>"
            wanted[f"stats/{key}/{name}"] = inner
    wanted |= {f"meta/episodes/{each}_index": number for each in ("chunk", "file")}
    assert list(listed.items()) == list(wanted.items())


def test_the_description_is_lerobots(tmp_path: Path) -> None:
    out = write(tmp_path / "out", synthetic_episodes(3, spec=SPEC))
    info = json.loads((out / "meta/info.json").read_text())
    features = info.pop("features")
    assert info == {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": 3,
        "total_frames": 18,
        "total_tasks": len({episode.task for episode in synthetic_episodes(3)}),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": 10,
        "splits": {"train": "0:3"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
    }
    names = ["height", "width", "channels"]
    assert features[IMAGE] == {"dtype": "image", "shape": [6, 8, 3], "names": names}
    assert features["action"]["names"] == ["action_0", "action_1"]
    assert features["timestamp"] == {"dtype": "float32", "shape": [1], "names": None}


def test_tasks_are_the_index_of_a_table_of_pandas(tmp_path: Path) -> None:
    episodes = synthetic_episodes(7, spec=SPEC)
    out = write(tmp_path / "out", episodes)
    tasks = parquet.read_table(out / "meta/tasks.parquet")
    said = json.loads(tasks.schema.metadata[b"pandas"])
    assert said["index_columns"] == ["__index_level_0__"]
    assert tasks["task_index"].to_pylist() == [0, 1]
    assert tasks["__index_level_0__"].to_pylist() == ["pick", "place"]
    rows = parquet.read_table(out / DATA)
    found = dict(
        zip(rows["episode_index"].to_pylist(), rows["task_index"].to_pylist(), strict=True)
    )
    assert list(found.values()) == [("pick", "place").index(episode.task) for episode in episodes]


def test_rows_count_within_episodes_and_over_all(tmp_path: Path) -> None:
    episodes = synthetic_episodes(4, spec=SPEC)
    rows = parquet.read_table(write(tmp_path / "out", episodes, rate=20.0) / DATA).to_pydict()
    lengths = [episode.num_steps for episode in episodes]
    assert rows["index"] == list(range(sum(lengths)))
    assert rows["frame_index"] == [step for length in lengths for step in range(length)]
    assert rows["episode_index"] == np.repeat(range(4), lengths).tolist()
    assert rows["timestamp"] == [np.float32(frame / 20) for frame in rows["frame_index"]]
    is_last = np.isin(rows["index"], np.cumsum(lengths) - 1)
    assert rows["next.done"] == is_last.tolist()
    for key, holds in (
        ("next.truncated", [not episode.terminated for episode in episodes]),
        ("next.success", [episode.success for episode in episodes]),
    ):
        assert rows[key] == (is_last & np.repeat(holds, lengths)).tolist()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("limit_mb", [100, 0])
def test_files_are_of_bounded_size_and_give_the_same_rows(
    spec: EpisodeSpec, limit_mb: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_writer, "DATA_FILE_MB", limit_mb)
    monkeypatch.setattr(table_writer, "FILES_PER_CHUNK", 2)
    monkeypatch.setattr(writing, "_GROUP_BYTES", 2000)
    monkeypatch.setattr(writing, "_EPISODES_AT_ONCE", 3)
    episodes = synthetic_episodes(5, spec=spec)
    out = write(tmp_path / "out", episodes, spec)
    must_be(read(out), episodes)
    files = [f"chunk-{i // 2:03d}/file-{i % 2:03d}.parquet" for i in range(1 if limit_mb else 5)]
    data = sorted(path.relative_to(out / "data") for path in out.glob("data/*/*"))
    assert [path.as_posix() for path in data] == files
    assert len(list(out.glob("meta/episodes/*/*"))) == (1 if limit_mb else 2)
    for path in out.glob("meta/episodes/*/*"):
        for row in parquet.read_table(path).to_pylist():
            place = f"chunk-{row['data/chunk_index']:03d}/file-{row['data/file_index']:03d}.parquet"
            rows = parquet.read_table(out / "data" / place)
            there = rows.filter(pa.compute.equal(rows["episode_index"], row["episode_index"]))
            assert there["index"].to_pylist() == list(
                range(row["dataset_from_index"], row["dataset_to_index"])
            )


@pytest.mark.parametrize(("rate", "fps"), [(20.0, 20), (12.5, 12.5), (None, 10)])
def test_the_rate_is_the_dataset_s_and_said_where_it_has_none(
    rate: float | None, fps: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = write(tmp_path / "out", synthetic_episodes(1, spec=SPEC), rate=rate)
    assert json.loads((out / "meta/info.json").read_text())["fps"] == fps
    assert ("fps 10 is written; give --control-rate" in caplog.text) == (rate is None)
    with FORMAT.open_recording(out, "") as recording:
        assert recording.control_rate_hz == fps


def test_statistics_are_numpys(tmp_path: Path) -> None:
    episodes = [e for e in synthetic_episodes(7, spec=SPEC) if e.num_steps > 1]
    out = write(tmp_path / "out", episodes)
    found = json.loads((out / "meta/stats.json").read_text())
    for key, name, scale in ((IMAGE, "camera", 255), ("observation.state", "joints", 1)):
        each = [episode.observations[name][:-1].astype(float) / scale for episode in episodes]
        flat = [rows.reshape(-1, rows.shape[-1]) for rows in each]
        rows = np.concatenate(flat)
        for what in ("min", "max", "mean", "std"):
            wanted = getattr(rows, what)(axis=0)
            np.testing.assert_allclose(np.ravel(found[key][what]), wanted, rtol=1e-9)
        assert found[key]["count"] == [sum(len(rows) for rows in each)]
        for what, share in statistics.QUANTILES.items():
            # A level is in an image or not: numpy's way between two of them is another.
            method = "inverted_cdf" if scale == 255 else "linear"
            of_each = [np.quantile(rows, share, axis=0, method=method) for rows in flat]
            wanted = np.average(of_each, axis=0, weights=[len(rows) for rows in each])
            np.testing.assert_allclose(np.ravel(found[key][what]), wanted, rtol=1e-9)
    assert np.shape(found[IMAGE]["mean"]) == (3, 1, 1)
    for row, episode in zip(parquet.read_table(out / EPISODES).to_pylist(), episodes, strict=True):
        np.testing.assert_allclose(row["stats/action/std"], episode.actions.std(axis=0), rtol=1e-5)
        largest = episode.observations["camera"][:-1].max(axis=(0, 1, 2)) / 255
        np.testing.assert_array_equal(row[f"stats/{IMAGE}/max"], largest.reshape(3, 1, 1))
        assert row["stats/frame_index/max"] == [episode.num_steps - 1]
        assert row["stats/next.done/min"] == [False]


def test_a_single_vector_is_the_state_and_keeps_its_name(tmp_path: Path) -> None:
    (sentence,) = FORMAT.remarks(SPEC)
    assert "the vector joints is called observation.state" in sentence
    (sentence,) = FORMAT.remarks(make_spec({n: VectorSpec(dim=1) for n in ("a", "b")}, 1))
    assert "no vector is called state" in sentence
    out = write(tmp_path / "out", synthetic_episodes(1, spec=SPEC))
    assert "observation.state" in parquet.read_schema(out / DATA).names
    assert read(out)[0].observations.keys() == {"camera", "joints"}


# Videos


def smooth(spec: EpisodeSpec, num_steps: int, index: int) -> Episode:
    """An episode of images that an encoder hardly changes."""
    episode = synthetic_episode(index, spec=spec, num_steps=num_steps)
    for name, image in spec.images.items():
        rows = np.arange(num_steps + 1)[:, None, None, None] * 3 + index * 40
        slope = np.linspace(0, 90, image.height)[None, :, None, None]
        episode.observations[name][:] = (rows + slope).astype(np.uint8)
    return episode


@pytest.mark.parametrize("size", [(32, 48), (33, 21)])
@pytest.mark.parametrize("limit_mb", [200, 0])
def test_videos_hold_nearly_what_was_filmed(
    size: tuple[int, int], limit_mb: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "VIDEO_FILE_MB", limit_mb)
    spec = make_spec({"camera": ImageSpec(height=size[0], width=size[1])}, 2)
    episodes = [smooth(spec, 4 + index, index) for index in range(3)]
    out = write(tmp_path / "out", episodes, spec, 12.5, VIDEO)
    assert len(list(out.glob(f"videos/{IMAGE}/*/*.mp4"))) == (1 if limit_mb else 3)
    assert IMAGE not in parquet.read_schema(out / DATA).names
    again = write(tmp_path / "again", episodes, spec, 12.5, VIDEO)
    assert files_of(out) == files_of(again)
    for trajectory, episode in zip(read(out), episodes, strict=True):
        found, wanted = trajectory.observations["camera"], episode.observations["camera"][:-1]
        assert np.abs(found.astype(int) - wanted).max() <= 8


def test_what_videos_are_is_said(tmp_path: Path) -> None:
    spec = make_spec({"camera": ImageSpec(height=16, width=16)}, 2)
    out = write(tmp_path / "out", [smooth(spec, 4, 0)], spec, format_=VIDEO)
    with FORMAT.open_recording(out, "") as recording:
        assert "images were stored as videos" in " ".join(recording.notes)


def spoil_video(out: Path, how: str) -> None:
    (path,) = out.rglob("*.mp4")
    if how == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif how == "garbage":
        path.write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    elif how == "missing":
        path.unlink()
    elif how == "another size":
        spec = make_spec({"camera": ImageSpec(height=32, width=16)}, 2)
        other = write(out.parent / "other", [smooth(spec, 9, 0)], spec, format_=VIDEO)
        path.write_bytes(next(other.rglob("*.mp4")).read_bytes())
    else:
        change(out / EPISODES, **{f"videos/{IMAGE}/from_timestamp": [5.0, 1e300]})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "cannot be read as a video"),
        ("garbage", "cannot be read as a video"),
        ("missing", "is missing"),
        ("another size", "has frames of (32, 16), in meta/info.json (16, 16)"),
        ("another time", "has no frame at 5 s"),
    ],
)
def test_a_damaged_video_is_refused(how: str, said: str, tmp_path: Path) -> None:
    spec = make_spec({"camera": ImageSpec(height=16, width=16)}, 2)
    out = write(tmp_path / "out", [smooth(spec, 4, i) for i in range(2)], spec, format_=VIDEO)
    spoil_video(out, how)
    assert said in refusal(out)


# What others wrote


def change(path: Path, **columns: object) -> None:
    """Write a table again with other columns; None takes one out."""
    table = parquet.read_table(path)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        if place >= 0:
            table = table.remove_column(place)
        if values is not None:
            table = table.append_column(name, values if isinstance(values, pa.Array) else [values])
    parquet.write_table(table, path)


def describe(out: Path, **changes: object) -> None:
    """Change `meta/info.json`; features are changed one by one, None takes one out."""
    path = out / "meta/info.json"
    info = json.loads(path.read_text())
    features = info["features"] | dict(changes.pop("features", {}))  # type: ignore[call-overload]
    info["features"] = {key: each for key, each in features.items() if each is not None}
    path.write_text(json.dumps(info | changes))


def imported(source: Path, out: Path, **changes: object) -> list[Episode]:
    values = {"format": "lerobot", "task": None, "success": "all", "bounds": None, **changes}
    import_episodes(ImportParams(**values), source, out)
    manifest = load_manifest(out, "episodes")
    return list(read_episodes(manifest.tar_paths(out), manifest.spec))


def refusal(source: Path, **changes: object) -> str:
    with pytest.raises(UserError) as error:
        imported(source, source.parent / "back", **changes)
    assert "\n" not in str(error.value)
    assert not (source.parent / "back").exists()
    return str(error.value)


def test_a_dataset_of_others_imports_without_its_last_actions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    episodes = [e for e in synthetic_episodes(7, spec=SPEC) if e.num_steps > 1]
    out = write(tmp_path / "out", episodes)
    back = imported(out, tmp_path / "back", success="key=next.success")
    for found, episode in zip(back, episodes, strict=True):
        assert (found.task, found.success) == (episode.task, episode.success)
        np.testing.assert_array_equal(found.actions, episode.actions[:-1])
        for name, rows in episode.observations.items():
            np.testing.assert_array_equal(found.observations[name], rows[:-1])
    assert load_manifest(tmp_path / "back", "episodes").spec.control_rate_hz == 10.0
    assert "that action is dropped" in caplog.text


def as_others_write(out: Path, count: int) -> None:
    """Lists of any length, wide numbers, jagged names, channels first, texts, a second robot."""
    rows = parquet.read_table(out / DATA)
    doubles = pa.array(rows["observation.state"].to_pylist(), pa.list_(pa.float64()))
    texts, grids = pa.array(["go"] * count), pa.array([[[0.0]]] * count)
    change(
        out / DATA,
        **{
            "observation.state": doubles,
            "observation.images.state": rows[IMAGE].combine_chunks(),
            IMAGE: None,
            "next.truncated": None,
            "observation.language": texts,
            "observation.grid": grids,
        },
    )
    describe(
        out,
        codebase_version="v3.1",
        video_path="../../{video_key}",
        data_path="/etc/passwd",
        unheard_of={},
        features={
            IMAGE: None,
            "next.truncated": None,
            "observation.state": {"dtype": "float64", "shape": [3], "names": {"motors": ["a"]}},
            "observation.images.state": {"dtype": "image", "shape": [3, 6, 8], "names": None},
            "observation.language": {"dtype": "string", "shape": [1], "names": None},
            "observation.grid": {"dtype": "float32", "shape": [1, 1], "names": None},
        },
    )
    tasks = pa.table({"task_index": [1, 0], "task": pa.array(["b", "a"], pa.large_string())})
    parquet.write_table(tasks, out / "meta/tasks.parquet")
    (out / "meta/stats.json").unlink()


def test_what_others_write_imports_and_what_is_lost_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    episodes = [e for e in synthetic_episodes(7, spec=SPEC) if e.num_steps > 1]
    out = write(tmp_path / "out", episodes)
    as_others_write(out, sum(episode.num_steps for episode in episodes))
    back = imported(out, tmp_path / "back")
    for found, episode in zip(back, episodes, strict=True):
        assert found.task == {"pick": "a", "place": "b"}[episode.task]
        # Two would be called state, so that both keep their whole names.
        assert found.observations.keys() == {"observation_state", "observation_images_state"}
        image = found.observations["observation_images_state"]
        np.testing.assert_array_equal(image, episode.observations["camera"][:-1])
        assert not found.terminated
    assert "observation.language, observation.grid" in caplog.text.replace("next.success, ", "")
    assert "without next.truncated, next.done marks ends of recordings too" in caplog.text
    assert "float64 is rounded to float32" in caplog.text


def test_the_same_source_gives_the_same_episodes(tmp_path: Path) -> None:
    episodes = [e for e in synthetic_episodes(4, spec=SPEC) if e.num_steps > 1]
    out = write(tmp_path / "out", episodes)
    both = [imported(out, tmp_path / name) for name in ("a", "b")]
    assert hashes_of(both[0]) == hashes_of(both[1])
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


# Damaged and hostile ones


def png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def noise() -> bytes:
    buffer = io.BytesIO()
    rows = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(rows).save(buffer, "PNG")
    return buffer.getvalue()


def lying_png(width: int, height: int) -> bytes:
    """A PNG whose header claims another size."""
    import struct
    import zlib

    data = bytearray(png((8, 6)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def images(out: Path, value: bytes | None) -> None:
    rows = [{"bytes": value, "path": "/etc/passwd"}] * NUM_STEPS
    change(out / DATA, **{IMAGE: pa.array(rows, pa.struct([("bytes", pa.binary()),
                                                            ("path", pa.string())]))})  # fmt: skip


NUM_STEPS = 17  # of the two episodes below
Spoil = Callable[[Path], None]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "no columns of bytes": (
        lambda out: change(out / DATA, **{IMAGE: pa.array(["x"] * NUM_STEPS)}),
        "no images as LeRobot stores them",
    ),
    "a path alone": (lambda out: images(out, None), "no path is followed"),
    "no image": (lambda out: images(out, b"GIF89a"), "holds a damaged image"),
    "a cut image": (lambda out: images(out, noise()[:-60]), "holds a damaged image"),
    "another size": (lambda out: images(out, png((9, 6))), "is RGB (9, 6), in meta/info.json RGB"),
    "another mode": (lambda out: images(out, png((8, 6), "L")), "is L (8, 6), in meta/info.json"),
    "a huge size": (lambda out: images(out, lying_png(4000, 4000)), "is RGB (4000, 4000), in"),
    "a bomb": (lambda out: images(out, lying_png(60_000, 60_000)), "holds a damaged image"),
    "texts for actions": (
        lambda out: change(out / DATA, action=pa.array(["x"] * NUM_STEPS)),
        "action is string, not 2 numbers in each row",
    ),
    "wider actions": (
        lambda out: change(out / DATA, action=pa.array([[0.0] * 3] * NUM_STEPS)),
        "not 2 numbers in each row",
    ),
    "jagged actions": (
        lambda out: change(out / DATA, action=pa.array([[0.0], [0.0] * 3] + [[0.0] * 2] * 15)),
        "not 2 numbers in each row",
    ),
    "no action in a row": (
        lambda out: change(out / DATA, action=pa.array([None, *[[0.0] * 2] * 16])),
        "not 2 numbers in each row",
    ),
    "nothing for a number": (
        lambda out: change(out / DATA, action=pa.array([[None, 0.0], *[[0.0] * 2] * 16])),
        "not 2 numbers in each row",
    ),
    "a column that is missing": (
        lambda out: change(out / DATA, action=None), "has no action, only"
    ),
    "rows of another episode": (
        lambda out: change(out / DATA, episode_index=pa.array([7] * NUM_STEPS)),
        "are of other episodes or steps",
    ),
    "rows in another order": (
        lambda out: change(out / DATA, frame_index=pa.array([3] * NUM_STEPS)),
        "are of other episodes or steps",
    ),
    "a task without a name": (
        lambda out: change(out / DATA, task_index=pa.array([9] * NUM_STEPS)),
        "has the task 9, which meta/tasks.parquet does not name",
    ),
    "fewer steps": (
        lambda out: change(out / EPISODES, length=pa.array([5, 1])), "counts 6 steps, the data"
    ),
    "steps below zero": (
        lambda out: change(out / EPISODES, length=pa.array([-1, 18])), "has -1 steps, 1 to"
    ),
    "episodes of no numbers": (
        lambda out: change(out / EPISODES, length=pa.array(["x", "y"])), "not a number in each row"
    ),
    "halves of episodes": (
        lambda out: change(out / EPISODES, length=pa.array([5.5, 11.5])), "no whole numbers"
    ),
    "garbage for data": (lambda out: put(out / DATA, b"PAR1 nothing PAR1"), "as Parquet"),
    "cut data": (lambda out: put(out / DATA, (out / DATA).read_bytes()[:-100]), "as Parquet"),
    "no data": (lambda out: (out / DATA).unlink(), "data has no chunk-000/file-000.parquet"),
    "no episodes": (lambda out: (out / EPISODES).unlink(), "episodes has no chunk-000"),
    "no tasks": (lambda out: (out / "meta/tasks.parquet").unlink(), "is missing"),
    "tasks without names": (
        lambda out: parquet.write_table(pa.table({"task_index": [0]}), out / "meta/tasks.parquet"),
        "has no column of names",
    ),
    "no description": (lambda out: (out / "meta/info.json").unlink(), "is missing"),
    "no JSON": (lambda out: put(out / "meta/info.json", b"{"), "says codebase_version None"),
    "the version before": (
        lambda out: describe(out, codebase_version="v2.1"), "convert_dataset_v21_to_v30"
    ),
    "no rate": (lambda out: describe(out, fps=0), "says fps 0"),
    "no features": (lambda out: put_info(out, features=[1]), "names no features"),
    "no action": (lambda out: describe(out, features={"action": None}), "has no action"),
    "an action that is an image": (
        lambda out: describe(out, features={"action": {"dtype": "image", "shape": [6, 8, 3]}}),
        "has no action",
    ),
    "no observation": (
        lambda out: describe(out, features={IMAGE: None, "observation.state": None}),
        "is a vector or an RGB image",
    ),
    "a feature that nobody has": (
        lambda out: describe(
            out, features={"observation.x": {"dtype": "float32", "shape": [2]}}
        ),
        "has no observation.x, only",
    ),
    "a video that nobody has": (
        lambda out: describe(
            out, features={"observation.images.x": {"dtype": "video", "shape": [6, 8, 3]}}
        ),
        "has no videos/observation.images.x/chunk_index",
    ),
    "a huge image": (
        lambda out: describe(out, features={IMAGE: {"dtype": "image", "shape": [4096, 4096, 3]}}),
        "in meta/info.json RGB (4096, 4096)",
    ),
}  # fmt: skip


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def put_info(out: Path, **changes: object) -> None:
    path = out / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_spoilt_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    episodes = [synthetic_episode(i, spec=SPEC, num_steps=n) for i, n in enumerate((5, 12))]
    out = write(tmp_path / "out", episodes)
    spoil, said = SPOILT[kind]
    spoil(out)
    assert said in refusal(out)


@pytest.mark.parametrize("format_", ["lerobot", "lerobot-video"])
def test_bytes_that_were_changed_are_read_or_refused(format_: str, tmp_path: Path) -> None:
    spec = make_spec({"camera": ImageSpec(height=16, width=16)}, 2)
    episodes = [smooth(spec, 6, index) for index in range(2)]
    out = write(tmp_path / "out", episodes, spec, format_=FORMATS[format_])
    rng, refused = np.random.default_rng(0), []
    paths = [path for path in sorted(out.rglob("*")) if path.is_file()]
    for turn in range(60):
        path = paths[turn % len(paths)]
        content = path.read_bytes()
        changed = np.frombuffer(content, np.uint8).copy()
        changed[rng.integers(len(changed), size=10)] = rng.integers(256, size=10, dtype=np.uint8)
        path.write_bytes(changed.tobytes())
        try:
            read(out, "next.success")
        except UserError as error:
            refused.append(str(error))
        path.write_bytes(content)
    assert len(refused) > 20
    assert not any("\n" in sentence for sentence in refused)


def test_a_file_is_no_dataset_of_lerobots(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"")
    assert "is no folder: name the folder of a dataset" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize("key", ["next.nothing", "action", "../../etc"])
def test_a_success_that_no_feature_tells_is_refused(key: str, tmp_path: Path) -> None:
    out = write(tmp_path / "out", [synthetic_episode(0, spec=SPEC, num_steps=5)])
    assert f"has no {key}, which --success names" in refusal(out, success=f"key={key}")


def test_a_value_that_is_in_every_row_is_in_memory_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dictionary of Parquet holds it once: rows of large values are read one at a time."""
    out = write(tmp_path / "out", [synthetic_episode(0, spec=SPEC, num_steps=NUM_STEPS)])
    images(out, bytes(1_000_000))
    assert (out / DATA).stat().st_size < 200_000
    monkeypatch.setattr(tables, "_BYTES_AT_ONCE", 1 << 20)
    batches = [batch.nbytes for _, batch in tables.Rows([out / DATA], [IMAGE]).take(NUM_STEPS)]
    assert len(batches) == NUM_STEPS
    assert max(batches) < 1_100_000
    monkeypatch.setattr(tables, "MAX_BYTES", 1 << 19)
    assert "bytes of a column at once: write smaller groups" in refusal(out)


def test_without_the_libraries_their_extras_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec({"camera": ImageSpec(height=16, width=16)}, 2)
    out = write(tmp_path / "out", [smooth(spec, 4, 0)], spec, format_=VIDEO)
    monkeypatch.setattr("parrot_data.exchange.lerobot.video.av", None)
    assert "parrot-priors[video]" in refusal(out)
    monkeypatch.setattr("parrot_data.exchange.lerobot.layout.pa", None)
    assert "parrot-priors[exchange]" in refusal(out)


def test_groups_are_of_many_rows_whatever_the_length_of_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs memory until its file is closed: a group an episode would make that grow."""
    monkeypatch.setattr(table_writer, "_ROWS_AT_ONCE", 100)
    schema = pa.schema([("step", pa.int64())])
    with table_writer.TableWriter(tmp_path, schema) as writer:
        for first in range(0, 1050, 7):
            place = writer.place()
            writer.write([pa.array(range(first, first + 7), pa.int64())])
    (path,) = tmp_path.rglob("*.parquet")
    assert place == (0, 0)
    file = parquet.ParquetFile(path)
    assert file.read().column("step").to_pylist() == list(range(1050))
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert min(sizes[:-1]) >= 100
    assert max(sizes) < 107
