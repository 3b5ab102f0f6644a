"""What params of a training may say."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from parrot_models.training.params import (
    KeypointParams,
    NoKeypoints,
    TrainingParams,
    keypoint_architecture,
)

PARAMS = {
    "seed": 0, "source": {"kind": "memmap"},
    "held_out_fraction": 0.1, "augment": ["mirror", "colors"],
    "observation_noise": 0.1, "precision": "fp32", "gradient_clip": 1.0, "log_every": 4,
    "checkpoint_every": 2, "steps": 10, "batch_size": 4, "learning_rate": 1e-3,
}  # fmt: skip
KEYPOINTS = {
    "kind": "reconstruction", "num_keypoints": 4, "width": 6, "foreground_weight": 30.0,
    "steps": 5, "batch_size": 4, "learning_rate": 1e-3,
}  # fmt: skip


@pytest.mark.parametrize(
    "names", [["mirror", "mirror"], ["flip"], "mirror", True, [1], {"mirror": True}]
)
def test_augmentations_are_named_once_each(names: object) -> None:
    TrainingParams.model_validate(PARAMS | {"augment": []})
    with pytest.raises(ValidationError, match="augment"):
        TrainingParams.model_validate(PARAMS | {"augment": names})


def test_the_curve_has_a_row_every_so_many_steps_and_a_last_one() -> None:
    params = TrainingParams.model_validate(PARAMS)
    assert [step for step in range(1, 11) if params.is_logged(step)] == [4, 8, 10]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "others"},
        {"kind": "none", "steps": 5},
        {key: value for key, value in KEYPOINTS.items() if key != "width"},
        {key: value for key, value in KEYPOINTS.items() if key != "kind"},
        KEYPOINTS | {"kind": "none"},
    ],
)
def test_keypoints_are_of_a_kind_with_its_own_keys(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(KeypointParams).validate_python(values)


def test_keypoints_may_be_none() -> None:
    none = TypeAdapter(KeypointParams).validate_python({"kind": "none"})
    assert none == NoKeypoints(kind="none")
    assert keypoint_architecture(none) is None
    some = keypoint_architecture(TypeAdapter(KeypointParams).validate_python(KEYPOINTS))
    assert (some.num_keypoints, some.width) == (4, 6)
