"""docs/teams.md by its own commands, against a server of S3: versions move on, none is forged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import yaml
from checkout import ROOT, TINY, Pipeline, changed
from moto.server import ThreadedMotoServer
from test_sharing import with_git

BUCKET, ENDPOINT = "robots", "https://s3.example.org"
URL = "https://example.org/team/robot-data.git"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
TINY_VECTORS = {
    "shard": TINY["shard"],
    "train_prior": {k: value for k, value in TINY["train_prior"].items() if k != "encoder"},
}

# What server and clients of S3 themselves warn of is theirs
pytestmark = pytest.mark.filterwarnings("default")


def blocks() -> list[str]:
    text = (ROOT / "docs/teams.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def record(path: Path, num_episodes: int) -> None:
    rng = np.random.default_rng(num_episodes)
    num = 12 * num_episodes
    rows = {
        "observations": rng.normal(size=(num, 3)),
        "actions": rng.uniform(-1, 1, (num, 2)),
        "terminals": np.arange(num) % 12 == 11,
    }
    np.savez(path, **{name: values.astype(np.float32) for name, values in rows.items()})


class Teams:
    """A bucket, a git server, and two folders: of those who record, of those who train."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.endpoint = folder, endpoint
        keys = {name.lower(): value for name, value in KEYS.items() if "DEFAULT" not in name}
        self.s3: Any = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        self.s3.create_bucket(Bucket=BUCKET)
        self.recording = self.person("recording")
        self.training = self.person("training")
        self.do(self.recording, f"git init --quiet --bare {folder / 'server.git'}")

    def person(self, name: str) -> Pipeline:
        folder = self.folder / name / "work"
        folder.mkdir(parents=True)
        return self.inside(folder)

    def inside(self, folder: Path) -> Pipeline:
        person = with_git(Pipeline(folder))
        person.environment |= {**KEYS, "PYTHONPATH": str(ROOT)}
        return person

    def do(self, person: Pipeline, block: str) -> str:
        block = block.replace(URL, str(self.folder / "server.git"))
        block = block.replace(ENDPOINT, self.endpoint)
        done = person.call("bash", "-e", "-c", block)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def forge(self, folder: Path, name: str) -> None:
        """Change a byte of a file where the bucket holds it."""
        content = (folder / name).read_bytes()
        listed = self.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        for key in (entry["Key"] for entry in listed):
            if self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content:
                forged = bytearray(content)
                forged[len(forged) // 2] ^= 1
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(forged))
                return
        raise AssertionError(f"the bucket does not hold {name}")


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Teams(tmp_path_factory.mktemp("teams"), f"http://{host}:{port}")
    server.stop()


def make_tiny(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump(changed(yaml.safe_load(path.read_text()), TINY_VECTORS)))


def num_episodes(project: Path) -> int:
    return int(json.loads((project / "data/shards/manifest.json").read_text())["num_episodes"])


def test_a_version_is_recorded_imported_trained_on_and_updated(teams: Teams) -> None:
    made, bucket, first, train, second, update = blocks()
    recording, training = teams.recording, teams.training
    record(recording.folder / "day-1.npz", 20)
    record(recording.folder / "day-2.npz", 30)
    teams.do(recording, made)
    data = teams.inside(recording.folder / "robot-data")
    teams.do(data, bucket + first)

    before, run = train.split("dvc repro\n")
    teams.do(training, before)
    project = teams.inside(training.folder / "door-opener")
    assert num_episodes(project.folder) == 20
    make_tiny(project.folder)
    teams.do(project, f"dvc repro\n{run}")
    weights = project.folder / "models/prior/prior.safetensors"
    of_first = weights.read_bytes()
    assert (project.folder / "audited/audit.png").exists()

    teams.do(data, second)
    assert teams.do(project, "dvc status").strip() == "Data and pipelines are up to date."
    assert "v2" not in (project.folder / "data/shards.dvc").read_text()
    teams.do(project, update)
    assert num_episodes(project.folder) == 30
    assert weights.read_bytes() != of_first
    assert "rev: v2" in (project.folder / "data/shards.dvc").read_text()

    teams.do(project, "git checkout --quiet HEAD~1 && dvc checkout --quiet")
    assert weights.read_bytes() == of_first
    assert num_episodes(project.folder) == 20


def test_a_forged_object_is_refused_because_of_verify(teams: Teams) -> None:
    """Without, DVC takes it, as docs/teams.md says; then our own check of the dataset refuses."""
    name = "data/shards/manifest.json"
    teams.forge(teams.recording.folder / "robot-data", name)
    person = teams.person("careful")
    teams.do(person, f"git clone --quiet --branch v2 {URL} clone")
    clone = teams.inside(person.folder / "clone")
    done = clone.call("dvc", "pull", "data/shards")
    assert done.returncode != 0
    assert "data/shards" in done.stderr
    assert not (clone.folder / name).exists()

    teams.do(clone, "dvc remote modify --local team verify false && dvc pull data/shards")
    checked = clone.call("parrot", "verify", "data/shards")
    assert checked.returncode == 1
    assert "manifest.json" in checked.stderr
