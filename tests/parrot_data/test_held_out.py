"""What is held out stays out: read off the manifest of what was made, not off its params."""

from __future__ import annotations

import pytest

from parrot_data.generate import GenerateParams, generate
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.verify import verify
from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.drawer import DRAWERS, drawer_names
from parrot_data.worlds.tabletop.objects import library
from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
from parrot_data.worlds.tabletop.tasks import TASKS

ENVIRONMENT = TabletopParams(
    name="tabletop", image_size=16, proprioception=False, episode_steps=2,
    demonstrations=DemonstrationParams(action_noise=0.1, num_objects=[3, 3]),
)  # fmt: skip
PARAMS = GenerateParams(
    seed=5, num_episodes=240, episodes_per_file=60,
    tasks={"pick": 0.4, "place": 0.4, "drawer": 0.2}, zstd_level=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[EpisodeEntry]:
    """What the manifest says of every episode, once it is certain that it is true of each."""
    out = tmp_path_factory.mktemp("held_out") / "episodes"
    generate(PARAMS, ENVIRONMENT, out, workers=2)
    return list(verify(out).entries(out))


def test_no_episode_holds_an_object_or_container_of_a_task(made: list[EpisodeEntry]) -> None:
    objects = {name for entry in made for name in entry.facts["objects"]}
    containers = {entry.facts["container"] for entry in made if entry.facts["container"]}
    assert len(made) == PARAMS.num_episodes
    assert len(objects) > 150  # enough were drawn for a stray one to show
    assert containers == {name for name, spec in CONTAINERS.items() if spec.split == "train"}
    assert objects & set(drawer_names("train"))
    assert not objects & {name for task in TASKS.values() for name in task.objects}
    assert not containers & {task.container for task in TASKS.values()}


def test_what_the_tasks_need_is_marked_as_held_out() -> None:
    for task in TASKS.values():
        assert all(library()[name].split == "test" for name in task.loose_objects)
        assert task.family != "drawer" or DRAWERS[task.target].split == "test"
        assert not task.container or CONTAINERS[task.container].split == "test"
