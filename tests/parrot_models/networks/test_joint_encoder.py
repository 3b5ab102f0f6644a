"""The joint stack computes what the two encoders compute one after the other."""

from __future__ import annotations

import pytest
import torch

from parrot_data.episodes.spec import ImageSpec
from parrot_models.networks.foveal_encoder import FovealEncoder, with_chroma
from parrot_models.networks.joint_encoder import JointEncoder, seven_planes
from parrot_models.networks.keypoints import KeypointEncoder
from tests.specs import ABOVE

IMAGE = ImageSpec(height=30, width=48)


def encoders() -> tuple[KeypointEncoder, FovealEncoder]:
    """As training leaves them: no two maps, pulls or sharpnesses alike."""
    torch.manual_seed(0)
    keypoints = KeypointEncoder(IMAGE, 5, 6)
    foveal = FovealEncoder(IMAGE, ABOVE, 0.02, 7, 4, 6)
    with torch.no_grad():
        keypoints.mean_image.uniform_(-0.4, 0.4)
        foveal.mean_image.uniform_(-0.4, 0.4)
        for encoder in (keypoints, foveal):
            encoder.attend.sharpness.uniform_(1.0, 6.0)
    return keypoints, foveal


def observations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, *IMAGE.shape), dtype=torch.uint8, generator=generator)
    positions = 0.5 * torch.rand(count, 3, generator=generator)
    return images, positions


@pytest.mark.parametrize("count", [1, 3])
def test_features_are_those_of_both_encoders(count: int) -> None:
    keypoints, foveal = encoders()
    images, positions = observations(count)
    with torch.no_grad():
        apart = keypoints(images), foveal(images, positions)
    together = JointEncoder(keypoints, foveal, "fp32")(images, positions)
    for mine, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=5e-5)


def test_half_precision_rounds_and_does_no_more() -> None:
    keypoints, foveal = encoders()
    images, positions = observations(20)
    fine = JointEncoder(keypoints, foveal, "fp32")(images, positions)
    coarse = JointEncoder(keypoints, foveal, "bf16")(images, positions)
    for mine, theirs in zip(coarse, fine, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).abs().mean() < 0.05 * theirs.abs().mean()


def test_weights_are_copied() -> None:
    keypoints, foveal = encoders()
    joint = JointEncoder(keypoints, foveal, "fp32")
    before = joint(*observations(1))
    with torch.no_grad():
        for parameter in [*keypoints.parameters(), *foveal.parameters()]:
            parameter.zero_()
    for old, new in zip(before, joint(*observations(1)), strict=True):
        assert torch.equal(old, new)
    assert not any(parameter.requires_grad for parameter in joint.parameters())


def test_the_seventh_plane_is_chroma() -> None:
    images, _ = observations(2)
    torch.testing.assert_close(seven_planes(images)[:, 6] / 255.0, with_chroma(images)[:, 3])
