"""A spatial softmax that looks where the gripper is: what lies near it, and in which direction.

A prior must find whatever object is next to the gripper, of whatever colour, to within a
centimetre. Convolutions with a fully connected head need far more pictures for that than a dataset
of a few thousand episodes has; here every attention map is drawn towards the spot under the
gripper, more or less strongly, and reports its place relative to that spot. A window about the spot
adds what an object looks like that is close to the fingers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_data.worlds.tabletop.camera import PROJECTION, VIEW
from parrot_models.networks.image_encoder import scale_planes
from parrot_models.networks.maps import INPUT_GAIN, STRIDE, make_maps
from parrot_models.networks.spatial_softmax import SpatialSoftmax
from parrot_models.networks.window import GripperWindow

TABLE_HEIGHT_M = 0.02  # of the spot under the gripper: where the middle of an object would be
LOG_PULLS = (-1.0, 3.5)  # range of the initial pull towards that spot
OFFSET_GAIN = 3.0
STRENGTH_SCALE = 4.0


class FovealEncoder(nn.Module):
    """uint8 (B, S, S, 3) and proprioception (B, 8) -> (B, 3 * num_maps + window_dim)."""

    def __init__(self, image_size: int, num_maps: int, width: int, window_dim: int = 0) -> None:
        """Build the network.

        Args:
            image_size: side S of the pictures, even.
            num_maps: attention maps; each gives an offset (x, y) and a strength.
            width: channels of the hidden maps.
            window_dim: width of what the window about the gripper shows; 0 is without one.
        """
        super().__init__()
        self.feature_dim = 3 * num_maps + window_dim
        self.window = GripperWindow(image_size, width, window_dim) if window_dim else None
        self.maps = make_maps(4, width, num_maps)
        self.log_pull = nn.Parameter(torch.linspace(*LOG_PULLS, num_maps)[:, None])
        self.attend = SpatialSoftmax(image_size // STRIDE, num_maps, STRENGTH_SCALE)
        self.mean_picture: Tensor
        self.register_buffer("mean_picture", torch.zeros(1, 4, image_size, image_size))
        self.projection: Tensor
        self.register_buffer("projection", _projection_of_the_table(), persistent=False)

    def init_from_data(self, images: Tensor) -> None:
        """Take the mean picture of uint8 (B, S, S, 3)."""
        self.mean_picture.copy_(with_chroma(images).mean(0, keepdim=True))

    def forward(self, images: Tensor, proprioception: Tensor) -> Tensor:
        """Offsets' x, their y, and strengths of all maps, then what the window shows, float32."""
        mean_picture = self.mean_picture.contiguous()  # as `with_chroma` has its planes
        difference = with_chroma(images).sub_(mean_picture).mul_(INPUT_GAIN)
        spot = self.spot_under(proprioception[:, :3])[:, None]
        maps = self.maps(_for_convolutions(difference))
        places, strengths = self.attend(maps, self.pull_towards(spot))
        x, y = (OFFSET_GAIN * (places - spot)).unbind(-1)
        shown = [] if self.window is None else [self.window(difference, spot)]
        return torch.cat([x, y, strengths, *shown], -1)

    def pull_towards(self, spot: Tensor) -> Tensor:
        """What `SpatialSoftmax` adds to the logits, (B, num_maps, 3), for spots (B, 1, 2).

        -|place - spot|^2 less what is the same in all places, which a softmax does not see.
        """
        towards = torch.cat([2 * spot, -torch.ones_like(spot[..., :1])], -1)
        return self.log_pull.exp() * towards

    def spot_under(self, gripper: Tensor) -> Tensor:
        """Where the picture shows the spot under a gripper at (B, 3), m: (B, 2) in [-1, 1]."""
        return project(gripper, self.projection)


def project(gripper: Tensor, projection: Tensor) -> Tensor:
    """See `FovealEncoder.spot_under`; `projection` is what `_projection_of_the_table` gives."""
    of_x, of_y, of_one = projection
    # No matrix product: autocast would round a place to the bits of bfloat16.
    clip = torch.addcmul(of_one, gripper[:, :1], of_x).addcmul_(gripper[:, 1:2], of_y)
    return clip[:, :2] / clip[:, 2:]


def _projection_of_the_table() -> Tensor:
    """(3, 3): (x, y, 1) at TABLE_HEIGHT_M times this is w times (right, down, 1) in the picture."""
    camera = torch.tensor(PROJECTION).view(4, 4).T @ torch.tensor(VIEW).view(4, 4).T
    of_x, of_y, of_z, of_one = camera[[0, 1, 3]].T * torch.tensor([1.0, -1.0, 1.0])
    return torch.stack([of_x, of_y, of_z * TABLE_HEIGHT_M + of_one])


def _for_convolutions(pictures: Tensor) -> Tensor:
    """Channels last, and in autocast's dtype: in two steps, which takes half as long as in one."""
    device = pictures.device.type
    is_low = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if is_low else pictures.dtype
    return pictures.contiguous(memory_format=torch.channels_last).to(dtype)


def with_chroma(images: Tensor) -> Tensor:
    """Scaled pictures with a fourth channel, max less min of RGB: (B, 4, S, S).

    Table, arm and most containers are grey; chroma shows an object whatever its colour.
    """
    # Plane by plane and in bytes: a quarter of the memory traffic of values, a sixth of the time.
    four = images.new_empty(len(images), 4, *images.shape[1:3])
    four[:, :3] = images.permute(0, 3, 1, 2)
    red, green, blue, chroma = four.unbind(1)
    torch.maximum(torch.maximum(red, green), blue, out=chroma)
    chroma -= torch.minimum(torch.minimum(red, green), blue)
    scaled = scale_planes(four)
    scaled[:, 3] += 0.5
    return scaled
