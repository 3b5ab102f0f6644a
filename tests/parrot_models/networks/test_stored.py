from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.stored import CONFIG, load_model, save_model

WEIGHTS = "line.safetensors"


def make(config):
    return nn.Linear(config["architecture"]["width"], 1)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(3)
    save_model(nn.Linear(4, 1), tmp_path, WEIGHTS, {"width": 4}, {"seed": 3})
    return tmp_path


load = partial(load_model, make, weights=WEIGHTS, name="a line", command="parrot draw")


def test_a_model_comes_back_frozen_with_the_weights_and_the_lineage_it_had(folder):
    torch.manual_seed(3)
    expected, loaded = nn.Linear(4, 1), load(folder)
    assert torch.equal(loaded.weight, expected.weight)
    assert torch.equal(loaded.bias, expected.bias)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    assert read_json(folder / CONFIG) == {"architecture": {"width": 4}, "seed": 3}


def cut_short(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:50])


def remove_weights(folder):
    (folder / WEIGHTS).unlink()


def widen(folder):
    write_json(folder / CONFIG, {"architecture": {"width": 5}})


def forget(folder):
    write_json(folder / CONFIG, {"architecture": {}})


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (cut_short, r"line\.safetensors.* cannot be read .*`dvc checkout`.*`parrot draw`"),
        (remove_weights, r"line\.safetensors.* cannot be read .*`dvc checkout`.*`parrot draw`"),
        (widen, r"line\.safetensors holds weights of another architecture.*`parrot draw`"),
        (forget, r"config\.json does not describe a line.*`parrot draw`"),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_do(folder, harm, sentence):
    harm(folder)
    with pytest.raises(UserError, match=sentence):
        load(folder)
