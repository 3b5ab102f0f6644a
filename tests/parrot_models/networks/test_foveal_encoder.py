"""The fovea lies where the gripper is, and what it reports is relative to that spot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.tasks import Task
from parrot_models.networks.foveal_encoder import FovealEncoder, with_chroma

PARAMS = EnvironmentParams(image_size=48, proprioception=True, episode_steps=5)


def test_an_object_is_seen_where_the_camera_model_says() -> None:
    env = TabletopEnv(PARAMS, lambda _rng: Task("pick", "pick", ("can",), ""))
    encoder = FovealEncoder(48, 4, 4)
    for index in range(10):
        observation, _ = env.reset(seed=0, options={"episode_index": index})
        chroma = with_chroma(torch.from_numpy(observation["image"])[None])[0, 3]
        rows, columns = torch.nonzero(chroma > 0.4, as_tuple=True)
        seen = torch.stack([columns.float().mean(), rows.float().mean()])
        position = torch.from_numpy(env.object_positions()[:1])
        expected = (encoder.spot_under(position)[0] + 1) * 24 - 0.5
        assert torch.linalg.vector_norm(seen - expected) < 2.0  # pixels
    env.close()


def test_chroma_is_blind_to_colour_and_to_grey() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8, generator=generator)
    chroma = with_chroma(images)[:, 3]
    assert torch.equal(with_chroma(images[..., [2, 0, 1]])[:, 3], chroma)
    grey = images[..., :1].expand(-1, -1, -1, 3)
    assert with_chroma(grey)[:, 3].abs().max() == 0


def test_flat_maps_report_no_offset_from_the_gripper() -> None:
    """With nothing to see, attention rests on the spot under the gripper."""
    encoder = FovealEncoder(48, 4, 4)
    with torch.no_grad():
        encoder.log_pull.fill_(6.0)
        for parameter in encoder.maps.parameters():
            parameter.zero_()
    images = torch.zeros(1, 48, 48, 3, dtype=torch.uint8)
    proprioception = torch.from_numpy(np.array([[0.31, 0.02, 0.1, 0, 0, 0, 1, 0.06]], np.float32))
    offsets = encoder(images, proprioception)[0, :8]
    assert offsets.tolist() == pytest.approx([0.0] * 8, abs=0.1)
