"""What params allow an episode to be, every store can hold and every reader will read."""

from __future__ import annotations

import pytest

from parrot_data.episodes.episode import ARRAY_FIELDS, FORMS, MAX_IMAGE_SIZE, MAX_STEPS
from parrot_data.worlds.tabletop.params import EnvironmentParams


@pytest.mark.parametrize(
    ("field", "most"), [("image_size", MAX_IMAGE_SIZE), ("episode_steps", MAX_STEPS)]
)
def test_no_params_allow_a_larger_episode_than_is_read(field: str, most: int) -> None:
    values = {"image_size": 48, "proprioception": True, "episode_steps": 25}
    assert EnvironmentParams.model_validate(values | {field: most})
    with pytest.raises(ValueError, match=field):
        EnvironmentParams.model_validate(values | {field: most + 1})


def test_every_array_has_a_form() -> None:
    assert tuple(FORMS) == ARRAY_FIELDS
