"""A config.json that asks for what its weights are not is refused at little cost."""

from __future__ import annotations

import json
import pickle
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.baselines.vae_model import BetaVAE, VAEArchitecture
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior

PRIOR = PriorArchitecture(
    image_size=48, proprioception=True, encoder="fast", feature_dim=6, window_dim=0, context_dim=8,
    num_keypoints=4, keypoint_width=4, num_layers=2, hidden=[16], max_log_scale=2.0,
)  # fmt: skip
LITTLE = 300_000  # kB of memory, for all that refusing takes
ABSURD: list[Any] = [10**5, 10**9, 10**30, -1, 0, 2.5, "8", None, [], [10**9], [1] * 10**4, {}]
# Read when a model acts, or of another flow or encoder: nothing that these weights contradict.
ACTING = {
    "window_dim",
    "max_log_scale",
    "bound",
    "num_steps",
    "num_bins",
    "velocity_hidden",
    "flow",
    "min_slope",
}


def vae() -> BetaVAE:
    return BetaVAE(VAEArchitecture(image_size=48, latent_dim=4, width=4, hidden=8))


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "prior": (lambda: BehavioralPrior(PRIOR), BehavioralPrior),
    "vae": (vae, BetaVAE),
}


@pytest.fixture(params=MODELS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Any]:
    make, kind = MODELS[request.param]
    make().save(tmp_path, {})
    return tmp_path, kind


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refusal_of(load: Callable[[], object]) -> str:
    try:
        load()
    except UserError as error:
        return str(error)
    return "none"


def changed(architecture: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in architecture.keys() - ACTING:
        for value in ABSURD:
            same = architecture[key] == value and type(architecture[key]) is type(value)
            if not same:
                yield architecture | {key: value}
        yield {name: value for name, value in architecture.items() if name != key}
    yield architecture | {"another": 1}


def test_absurd_architectures_are_refused_with_little_memory(stored: tuple[Path, Any]) -> None:
    folder, kind = stored
    kind.load(folder)
    config, before = read_json(folder / CONFIG), peak_kb()
    for architecture in changed(config["architecture"]):
        write_json(folder / CONFIG, config | {"architecture": architecture})
        assert CONFIG in refusal_of(lambda: kind.load(folder)), architecture
    assert peak_kb() - before < LITTLE


@pytest.mark.parametrize("config", [[], {}, 1, None, {"architecture": []}, {"architecture": 1}])
def test_a_config_of_another_form_is_refused(stored: tuple[Path, Any], config: Any) -> None:
    folder, kind = stored
    write_json(folder / CONFIG, config)
    with pytest.raises(UserError, match=r"config\.json"):
        kind.load(folder)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_header(path: Path, header: dict[str, Any], rest: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


HEADERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another type": lambda entry: entry.update(dtype="I32"),
    "another type of ours": lambda entry: entry.update(dtype="U8"),
    "an absurd shape": lambda entry: entry.update(shape=[10**9, 10**9]),
    "an overflow": lambda entry: entry.update(shape=[2**63, 2]),
    "outside": lambda entry: entry.update(data_offsets=[10**12, 10**12 + 4]),
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_weights_of_another_form_are_refused(
    stored: tuple[Path, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    folder, kind = stored
    path = next(folder.glob("*.safetensors"))
    header, rest = header_of(path)
    change(header[next(name for name in header if name.endswith("weight"))])
    write_header(path, header, rest)
    with pytest.raises(UserError, match=r"\.safetensors"):
        kind.load(folder)


def test_a_header_that_claims_gigabytes_is_refused(stored: tuple[Path, Any]) -> None:
    folder, kind = stored
    path, before = next(folder.glob("*.safetensors")), peak_kb()
    path.write_bytes(struct.pack("<Q", 8 << 30) + path.read_bytes()[8:])
    with pytest.raises(UserError, match=r"\.safetensors"):
        kind.load(folder)
    assert peak_kb() - before < LITTLE


def test_a_pickle_in_the_place_of_weights_is_not_run(stored: tuple[Path, Any]) -> None:
    folder, kind = stored
    next(folder.glob("*.safetensors")).write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match="cannot be read"):
        kind.load(folder)
