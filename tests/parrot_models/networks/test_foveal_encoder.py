"""The fovea lies where the gripper is, and what it reports is relative to that spot."""

from __future__ import annotations

import pytest
import torch

from parrot_data.episodes.spec import ImageSpec
from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
from parrot_data.worlds.tabletop.world import IMAGE, TabletopWorld
from parrot_models.networks.foveal_encoder import FovealEncoder, with_chroma
from tests.specs import ABOVE

WORLD = TabletopWorld(
    TabletopParams(
        name="tabletop",
        image_size=48,
        proprioception=True,
        episode_steps=5,
        demonstrations=DemonstrationParams(action_noise=0.1, num_objects=[1, 1]),
    )
)


def test_an_object_is_seen_where_the_camera_of_the_spec_says() -> None:
    env, spec = WORLD.training_scenes("pick"), WORLD.spec
    assert spec.tool is not None
    encoder = FovealEncoder(
        spec.images[IMAGE], spec.cameras[IMAGE], spec.tool.surface_height_m, 4, 4
    )
    errors = []
    for seed in range(12):
        observation, info = env.reset(seed=seed)
        chroma = with_chroma(torch.from_numpy(observation[IMAGE])[None])[0, 3]
        rows, columns = torch.nonzero(chroma > 0.4, as_tuple=True)
        seen = torch.stack([columns.float().mean(), rows.float().mean()])
        position = torch.from_numpy(info["privileged"]["object_positions"][:1])
        expected = (encoder.spot_under(position)[0] + 1) * 24 - 0.5
        errors.append(float(torch.linalg.vector_norm(seen - expected)))
    env.close()
    assert sorted(errors)[6] < 2.0  # pixels


def test_chroma_is_blind_to_colour_and_to_grey() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8, generator=generator)
    chroma = with_chroma(images)[:, 3]
    assert torch.equal(with_chroma(images[..., [2, 0, 1]])[:, 3], chroma)
    grey = images[..., :1].expand(-1, -1, -1, 3)
    assert with_chroma(grey)[:, 3].abs().max() == 0


def test_flat_maps_report_no_offset_from_the_gripper() -> None:
    """With nothing to see, attention rests on the spot under the gripper."""
    encoder = FovealEncoder(ImageSpec(height=48, width=48), ABOVE, 0.0, 4, 4)
    with torch.no_grad():
        encoder.log_pull.fill_(6.0)
        for parameter in encoder.maps.parameters():
            parameter.zero_()
    images = torch.zeros(1, 48, 48, 3, dtype=torch.uint8)
    positions = torch.tensor([[0.31, 0.02, 0.1]])
    offsets = encoder(images, positions)[0, :8]
    assert offsets.tolist() == pytest.approx([0.0] * 8, abs=0.1)
