"""Laws of panels: images stay as they are, and success is marked where it is and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from parrot_models.filming.panels import (
    BAR,
    FAINT,
    FRAME,
    GAP,
    MARGIN,
    PAPER,
    SPACING,
    SUCCESS,
    Panel,
    side_by_side,
)

SIDE = 200
CAPTIONS = ("random actions", "prior before learning", "agent after 1,000,000 steps")


def image(value: int, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(value).integers(0, 200, (SIDE, width, 3)).astype(np.uint8)


def panels(*is_success: bool, successes: tuple[bool, ...] = ()) -> list[Panel]:
    return [
        Panel(caption, image(index), success, successes)
        for index, (caption, success) in enumerate(zip(CAPTIONS, is_success, strict=True))
    ]


def part(shown: np.ndarray, index: int) -> np.ndarray:
    left = index * (SIDE + GAP)
    return shown[BAR:, left : left + SIDE]


def test_images_are_shown_as_they_are_one_beside_the_other() -> None:
    shown = side_by_side(panels(False, False, False), 4)
    assert shown.shape == (BAR + SIDE, 3 * SIDE + 2 * GAP, 3)
    for index in range(3):
        np.testing.assert_array_equal(part(shown, index), image(index))


def test_success_is_framed_in_its_own_panel_alone() -> None:
    shown = side_by_side(panels(False, True, False), 4)
    for index in (0, 2):
        np.testing.assert_array_equal(part(shown, index), image(index))
    framed, inside = part(shown, 1), slice(FRAME, SIDE - FRAME)
    np.testing.assert_array_equal(framed[inside, inside], image(1)[inside, inside])
    edge = np.ones((SIDE, SIDE), bool)
    edge[inside, inside] = False
    assert (framed[edge] == SUCCESS).all()


def test_panels_of_other_widths_have_room() -> None:
    wide = [Panel("a", image(0, 90), False, ()), Panel("b", image(1, 150), True, ())]
    assert side_by_side(wide, 1).shape == (BAR + SIDE, 90 + 150 + GAP, 3)


@pytest.mark.parametrize("successes", [(), (True,), (False, True), (True, True, False)])
def test_there_is_a_mark_an_episode(successes: tuple[bool, ...]) -> None:
    num_episodes = 3
    shown = side_by_side(panels(False, False, False, successes=successes), num_episodes)
    marks = shown[:BAR, SIDE - SPACING * num_episodes : SIDE]
    for index in range(num_episodes):
        mark = marks[:, SPACING * index : SPACING * (index + 1)].reshape(-1, 3)
        num_green, num_faint = ((mark == color).all(-1).sum() for color in (SUCCESS, FAINT))
        if index >= len(successes):
            assert num_green == 0
            assert 0 < (mark != PAPER).any(-1).sum() < 20
        else:
            assert (num_green > 20) == successes[index]
            assert (num_faint > 0) != successes[index]


@pytest.mark.parametrize("num_episodes", [1, 20, 100])
def test_any_number_of_marks_leaves_room_for_the_caption(num_episodes: int) -> None:
    shown = side_by_side(
        panels(False, False, False, successes=(True,) * num_episodes), num_episodes
    )
    np.testing.assert_array_equal(part(shown, 1), image(1))
    assert (shown[:BAR, : SIDE // 3] != PAPER).any()
    assert (shown[:BAR, SIDE // 2 : SIDE, 1] > shown[:BAR, SIDE // 2 : SIDE, 0]).any()


def test_captions_shrink_until_they_fit_and_differ() -> None:
    shown = side_by_side(panels(False, False, False), 2)
    bars = [shown[:BAR, i * (SIDE + GAP) : i * (SIDE + GAP) + SIDE] for i in range(3)]
    for bar in bars:
        assert (bar != PAPER).any(-1)[:, : SIDE - 2 * SPACING].any()
        # Nothing is written between a caption and its marks
        assert (bar[:, SIDE - 2 * SPACING - MARGIN : SIDE - 2 * SPACING] == PAPER).all()
    assert not np.array_equal(bars[0], bars[1])
