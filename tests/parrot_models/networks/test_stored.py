from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.section import Section
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.stored import CONFIG, architecture_of, load_model, save_model
from tests.specs import VECTORS_ALONE

WEIGHTS = "line.safetensors"


class LineArchitecture(Section):
    spec: EpisodeSpec
    width: int


LINE = LineArchitecture(spec=VECTORS_ALONE, width=4)


def make(config):
    return nn.Linear(architecture_of(LineArchitecture, config).width, 1)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(3)
    save_model(nn.Linear(4, 1), tmp_path, WEIGHTS, LINE, {"seed": 3})
    return tmp_path


load = partial(load_model, make, weights=WEIGHTS, name="a line", command="parrot draw")


def test_a_model_comes_back_frozen_with_the_weights_and_the_lineage_it_had(folder):
    torch.manual_seed(3)
    expected, loaded = nn.Linear(4, 1), load(folder)
    assert torch.equal(loaded.weight, expected.weight)
    assert torch.equal(loaded.bias, expected.bias)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    config = read_json(folder / CONFIG)
    assert config.keys() == {"architecture", "spec", "seed"}
    assert config["architecture"] == {"width": 4}
    assert architecture_of(LineArchitecture, config) == LINE


def cut_short(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:50])


def remove_weights(folder):
    (folder / WEIGHTS).unlink()


def widen(folder):
    change(folder, architecture={"width": 5})


def forget(folder):
    change(folder, architecture={})


def forget_the_spec(folder):
    config = read_json(folder / CONFIG)
    del config["spec"]
    write_json(folder / CONFIG, config)


def change(folder, **values):
    write_json(folder / CONFIG, read_json(folder / CONFIG) | values)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (cut_short, r"line\.safetensors.* cannot be read .*`dvc checkout`.*`parrot draw`"),
        (remove_weights, r"line\.safetensors.* cannot be read .*`dvc checkout`.*`parrot draw`"),
        (widen, r"line\.safetensors holds weights of another architecture.*`parrot draw`"),
        (forget_the_spec, r"config\.json does not describe a line.*`parrot draw`"),
        (forget, r"config\.json does not describe a line.*`parrot draw`"),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_do(folder, harm, sentence):
    harm(folder)
    with pytest.raises(UserError, match=sentence):
        load(folder)
