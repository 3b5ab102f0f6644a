"""The page does in a real browser what it says, from a file, and asks nobody else for anything."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Page, browser
from page_data import HOSTILE, hostile_episodes
from PIL import Image
from synthetic import SPECS, synthetic_episodes, write_raw

from parrot_data.episodes.episode import Episode
from parrot_data.merge import MergeParams, merge
from parrot_data.view import view

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on PATH")
SPEC = SPECS["tabletop-like"]
NUM_EPISODES = 130  # more than there is room for: most cards are not in the page


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return hostile_episodes(NUM_EPISODES, SPEC)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, episodes: list[Episode]) -> dict[str, Path]:
    """The page of each spec, by name."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, spec in SPECS.items():
        some = episodes if spec is SPEC else synthetic_episodes(4, spec=spec)
        view(write_raw(folder / name / "raw", some, spec), folder / name / "page")
        found[name] = folder / name / "page" / "index.html"
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(running: Page, pages: dict[str, Path]) -> Iterator[Page]:
    """The page of hostile episodes; nothing it did may have gone wrong or left the machine."""
    running.requests.clear()
    running.complaints.clear()
    running.size(1280, 800)
    running.call("Page.navigate", url="about:blank")
    running.open(pages["tabletop-like"])
    yield running
    assert running.complaints == []
    assert {url.partition(":")[0] for url in running.requests} <= {"about", "file", "data"}
    assert running.evaluate("window.beaten") is None


def choose(page: Page, facet: str, label: str) -> None:
    """Choose a value in a filter, as a user does."""
    page.evaluate(
        f"""(() => {{
            const select = document.querySelector(`[data-facet="{facet}"]`);
            const text = (option) => option.textContent.replace(/ \\([\\d,]+\\)$/, "");
            const wanted = [...select.options].find((each) => text(each) === {json.dumps(label)});
            select.value = wanted.value;
            select.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }})()"""
    )


def shown(page: Page) -> list[int]:
    """Indices of all episodes in the grid, scrolled through to its end."""
    return page.evaluate(
        """(async () => {
            const found = new Map();
            for (let y = 0; ; y += innerHeight / 2) {
                scrollTo(0, y);
                const drawn = (done) => requestAnimationFrame(() => requestAnimationFrame(done));
                await new Promise(drawn);
                for (const card of document.querySelectorAll(".card")) {
                    const index = card.querySelector("b").textContent.slice(1);
                    found.set(Number(card.dataset.place), index);
                }
                if (y > document.documentElement.scrollHeight) break;
            }
            scrollTo(0, 0);
            return [...found].sort((a, b) => a[0] - b[0]).map((each) => Number(each[1]));
        })()"""
    )


def open_card(page: Page, index: int) -> None:
    page.evaluate(f"parrot.openEpisode(parrot.rows.find((row) => row.index === {index}))")
    page.wait("document.querySelector('#episode').dataset.state === 'open'")


def pixels(page: Page, camera: str) -> np.ndarray:
    """What a camera's canvas shows, (H, W, 3)."""
    url = page.evaluate(f"document.querySelector('canvas[data-camera=\"{camera}\"]').toDataURL()")
    content = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def value_at_cursor(page: Page, name: str, dimension: int = 0) -> np.float32:
    text = page.evaluate(
        f"document.querySelector('[data-value=\"{name}/{dimension}\"]').textContent"
    )
    return np.float32(text)


def step_shown(page: Page) -> int:
    return int(page.evaluate("document.querySelector('#scrub').value"))


def test_a_grid_of_all_holds_only_what_is_in_sight(page: Page, episodes: list[Episode]) -> None:
    assert page.evaluate("document.querySelectorAll('.card').length") < NUM_EPISODES
    assert shown(page) == [episode.index for episode in episodes]


def test_failures_of_one_task_are_those_of_the_data(page: Page, episodes: list[Episode]) -> None:
    choose(page, "task", HOSTILE["task"])
    choose(page, "failure", HOSTILE["failure"])
    wanted = [
        e.index for e in episodes if e.task == HOSTILE["task"] and e.failure == HOSTILE["failure"]
    ]
    assert 0 < len(wanted) < NUM_EPISODES
    assert shown(page) == wanted
    count = page.evaluate("document.querySelector('#count').textContent")
    assert count == f"{len(wanted)} of {NUM_EPISODES} episodes"
    assert page.evaluate("document.querySelector('#tiles strong').textContent") == str(len(wanted))


def test_every_kind_of_filter_says_which_episodes(page: Page, episodes: list[Episode]) -> None:
    choose(page, "facts.objects", "number 1")
    choose(page, "outcome", "success")
    page.evaluate(
        "for (const [id, value] of [['least', 5], ['most', 20]]) {"
        " document.getElementById(id).value = value;"
        " document.getElementById(id).dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    wanted = [
        e.index for e in episodes if e.success and e.index % 3 == 1 and 5 <= e.num_steps <= 20
    ]
    assert wanted
    assert shown(page) == wanted
    # The same filters stand in the address, and hold when it is opened anew
    address = page.evaluate("location.hash")
    page.call("Page.reload")
    page.wait("document.documentElement?.dataset.state === 'ready'")
    assert page.evaluate("location.hash") == address
    assert shown(page) == wanted
    page.evaluate("document.querySelector('#clear').click()")
    assert len(shown(page)) == NUM_EPISODES


def test_a_search_finds_what_is_said_of_an_episode(page: Page, episodes: list[Episode]) -> None:
    page.press("/")
    page.call("Input.insertText", text="SAUCER")
    assert len(shown(page)) == NUM_EPISODES
    page.evaluate("document.querySelector('#search').select()")
    page.call("Input.insertText", text="#77")
    assert shown(page) == [77]
    page.call("Input.insertText", text=" and no such")
    assert shown(page) == []
    assert page.evaluate("!document.querySelector('#none').hidden")


def test_an_episode_plays_and_shows_its_images_and_values(
    page: Page, episodes: list[Episode]
) -> None:
    episode = episodes[10]  # of 80 steps
    open_card(page, 10)
    assert (pixels(page, "image") == episode.observations["image"][0]).all()
    page.press(" ")
    page.wait("Number(document.querySelector('canvas[data-camera]').dataset.step) >= 2")
    page.press(" ")
    stopped = step_shown(page)
    page.wait(f"document.querySelector('canvas[data-camera]').dataset.step === '{stopped}'")
    assert (pixels(page, "image") == episode.observations["image"][stopped]).all()
    page.evaluate(
        "document.querySelector('#scrub').value = 41;"
        "document.querySelector('#scrub').dispatchEvent(new Event('input'))"
    )
    page.wait("document.querySelector('canvas[data-camera]').dataset.step === '41'")
    assert (pixels(page, "image") == episode.observations["image"][41]).all()
    for dimension in range(7):
        assert value_at_cursor(page, "actions", dimension) == episode.actions[41, dimension]
    vector = episode.observations["proprioception"]
    assert value_at_cursor(page, "observation.proprioception", 7) == vector[41, 7]
    page.press("ArrowRight")
    assert value_at_cursor(page, "actions", 3) == episode.actions[42, 3]
    page.press("End")
    assert step_shown(page) == episode.num_steps == 80
    assert value_at_cursor(page, "observation.proprioception", 0) == vector[80, 0]
    no_action = page.evaluate("document.querySelector('[data-value=\"actions/0\"]').textContent")
    assert no_action == "\u2013"  # no step has an action after the last
    assert value_at_cursor(page, "observation.proprioception", 0) == vector[-1, 0]


def test_a_click_on_a_curve_goes_to_that_step(page: Page, episodes: list[Episode]) -> None:
    open_card(page, 10)
    box = page.evaluate(
        "(() => { const b = document.querySelector('.plot-area').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height] })()"
    )
    x, y = box[0] + 60 + (box[2] - 70) * 60 / 80, box[1] + box[3] / 2
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert step_shown(page) == 60
    assert value_at_cursor(page, "actions", 6) == episodes[10].actions[60, 6]


def test_all_can_be_done_by_keyboard(page: Page) -> None:
    page.evaluate("document.querySelector('.card').focus()")
    page.press("ArrowRight")
    page.press("ArrowDown")
    place = page.evaluate("Number(document.activeElement.dataset.place)")
    assert place > 1
    page.press("End")
    assert page.evaluate("Number(document.activeElement.dataset.place)") == NUM_EPISODES - 1
    page.press("Enter")
    page.wait("document.querySelector('#episode').dataset.state === 'open'")
    assert page.evaluate("location.hash") == f"#episode={NUM_EPISODES - 1}"
    page.press("PageUp")
    page.wait(f"location.hash === '#episode={NUM_EPISODES - 2}'")
    page.wait("document.querySelector('#episode').dataset.state === 'open'")
    page.press("Escape")
    page.wait("!document.querySelector('#episode').open")
    # The browser's own focus comes first, then what the page does on its being closed
    page.wait(f"document.activeElement.dataset.place === '{NUM_EPISODES - 2}'")
    assert page.evaluate("document.querySelectorAll('.card[tabindex=\"0\"]').length") == 1


def test_hostile_names_are_text(page: Page) -> None:
    open_card(page, 0)
    page.evaluate("document.querySelector('#ranges').open = true")
    for names in (HOSTILE["task"], HOSTILE["object"]):
        assert page.evaluate(f"document.body.textContent.includes({json.dumps(names)})")
    assert page.evaluate("document.querySelectorAll('img, i:not(.bars i)').length") == 0
    assert page.evaluate(
        "[...document.querySelectorAll('b')].every((b) => !/^pick$/.test(b.textContent))"
    )
    assert page.evaluate("({}).beaten") is None
    assert "__proto__" in page.evaluate("document.querySelector('#facts').textContent")


@pytest.mark.parametrize("width", [360, 760, 1600])
@pytest.mark.parametrize("is_dark", [False, True])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int, *, is_dark: bool) -> None:
    page.size(width, 720, is_dark=is_dark)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(13, 17, 23)") == is_dark
    open_card(page, 10)
    assert page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)"
        "(document.querySelector('#episode'))"
    )


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"tabletop-like"}))
def test_any_spec_is_shown(page: Page, pages: dict[str, Path], name: str) -> None:
    spec, episodes = SPECS[name], synthetic_episodes(4, spec=SPECS[name])
    page.open(pages[name], "#episode=2")
    page.wait("document.querySelector('#episode').dataset.state === 'open'")
    for _ in range(7):
        page.press("ArrowRight")
    cameras = page.evaluate(
        "[...document.querySelectorAll('canvas[data-camera]')].map((c) => c.dataset.camera)"
    )
    assert cameras == list(spec.images)
    for camera in cameras:
        page.wait(f"document.querySelector('[data-camera=\"{camera}\"]').dataset.step === '7'")
        assert (pixels(page, camera) == episodes[2].observations[camera][7]).all()
    for vector, dim in spec.vectors.items():
        found = [value_at_cursor(page, f"observation.{vector}", d) for d in range(dim)]
        assert found == episodes[2].observations[vector][7].tolist()


def test_a_missing_file_is_told(running: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    page, alone = running, tmp_path / "index.html"
    folder = pages["vectors alone"].parent
    alone.write_bytes(pages["vectors alone"].read_bytes())
    (tmp_path / "page").symlink_to(folder / "page")
    page.call("Page.navigate", url=alone.as_uri())
    told: Any = page.wait("document.querySelector('#problem')?.textContent")
    assert told == "data/dataset.js cannot be read: it belongs beside this page."


def test_an_address_is_of_one_episode_where_merged_data_repeat_an_index(
    page: Page, tmp_path: Path
) -> None:
    episodes = [synthetic_episodes(4, seed) for seed in (0, 1)]
    raws = [write_raw(tmp_path / str(s), each, seed=s) for s, each in enumerate(episodes)]
    merge(MergeParams(duplicates="refuse"), raws, tmp_path / "both")
    view(tmp_path / "both", tmp_path / "page")
    page.open(tmp_path / "page" / "index.html", "#episode=6")
    page.wait("document.querySelector('#episode').dataset.state === 'open'")
    assert value_at_cursor(page, "actions", 0) == episodes[1][2].actions[0, 0]
    assert page.evaluate("location.hash") == "#episode=6"
