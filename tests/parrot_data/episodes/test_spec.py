"""A spec says what there is, and refuses what contradicts itself."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from tests.specs import (
    HIDDEN_TOOL,
    IMAGES_ALONE,
    ONE_IMAGE,
    SPECS,
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    spec_of,
)


def changed(spec: EpisodeSpec, **values: object) -> dict[str, object]:
    return {**spec.model_dump(), **values}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (changed(ONE_IMAGE, observations={}), "at least 1"),
        (changed(ONE_IMAGE, observations={"a/b": {"kind": "vector", "dim": 3}}), "no name"),
        (changed(ONE_IMAGE, observations={"..": {"kind": "vector", "dim": 3}}), "no name"),
        (changed(ONE_IMAGE, observations={"a": {"kind": "vector", "dim": 0}}), "greater than"),
        (changed(ONE_IMAGE, action={"dim": 2, "low": [0.0, 0.0], "high": None}), "both bounds"),
        (changed(ONE_IMAGE, action={"dim": 2, "low": [0.0], "high": [1.0]}), "as many bounds"),
        (changed(ONE_IMAGE, action={"dim": 1, "low": [1.0], "high": [1.0]}), "lies below"),
        (changed(ONE_IMAGE, action={"dim": 1, "low": [float("nan")], "high": [1.0]}), "finite"),
        (changed(TABLETOP_LIKE, tool={**TABLETOP_LIKE.tool.model_dump(), "position": [0, 1, 8]}),
         "does not have"),
        (changed(IMAGES_ALONE, privileged={}), "does not have"),
        (changed(IMAGES_ALONE, privileged={HIDDEN_TOOL: {"dtype": "float32", "shape": [2, 4]}}),
         "does not have"),
        (changed(IMAGES_ALONE, privileged={HIDDEN_TOOL: {"dtype": "bool", "shape": [4]}}),
         "does not have"),
        (changed(IMAGES_ALONE, mirror={"action": [1.0] * 3, "vectors": {}}), "the tool's position"),
        (changed(VECTORS_ALONE, cameras=TABLETOP_LIKE.model_dump()["cameras"]), "no image"),
        (changed(VECTORS_ALONE, mirror={"action": [1.0] * 4, "vectors": {}}), "every vector"),
        (changed(ONE_IMAGE, mirror={"action": [0.5], "vectors": {}}), "1 or -1"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(values, sentence) -> None:
    with pytest.raises(ValidationError, match=sentence):
        EpisodeSpec.model_validate(values)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_spec_comes_back_from_json(spec: EpisodeSpec) -> None:
    assert EpisodeSpec.model_validate(spec.model_dump()) == spec


def test_a_tool_is_told_by_an_observation_and_hidden_in_a_privileged_array() -> None:
    assert TABLETOP_LIKE.tool_is_told
    assert not IMAGES_ALONE.tool_is_told
    assert not ONE_IMAGE.tool_is_told
    assert EpisodeSpec.model_validate_json(IMAGES_ALONE.model_dump_json()) == IMAGES_ALONE
    unknown = changed(IMAGES_ALONE, tool=None, mirror=None, privileged={})
    assert difference(IMAGES_ALONE, EpisodeSpec.model_validate(unknown)) == ""


def test_an_observation_that_is_not_as_described_is_named() -> None:
    good = {"state": np.zeros(5, np.float32), "goal": np.zeros(3, np.float32)}
    VECTORS_ALONE.check_observation(good, "episode 3")
    with pytest.raises(UserError, match=r"episode 3 has the observations state where .* goal"):
        VECTORS_ALONE.check_observation({"state": good["state"]}, "episode 3")
    with pytest.raises(UserError, match=r"episode 3: the observation goal is float64 \(3,\)"):
        VECTORS_ALONE.check_observation({**good, "goal": np.zeros(3)}, "episode 3")


def test_the_first_difference_of_two_specs_is_said() -> None:
    assert difference(TWO_IMAGES, TWO_IMAGES) == ""
    assert difference(ONE_IMAGE, spec_of(images={"camera": (64, 48)}, action_dim=1)) == (
        "observations.camera: uint8 (64, 64, 3) against uint8 (64, 48, 3)"
    )
    assert "none" in difference(ONE_IMAGE, VECTORS_ALONE)
    wide = spec_of(vectors={"state": 5, "goal": 3}, bounds=(-2.0, 2.0))
    assert difference(VECTORS_ALONE, wide) == "the bounds of the action"
