"""A spatial softmax that looks where the tool is: what lies near it, and in which direction.

A prior must find whatever object is next to the tool, of whatever colour, to within a
centimetre. Convolutions with a fully connected head need far more images for that than a dataset
of a few thousand episodes has; here every attention map is drawn towards the spot under the
tool, more or less strongly, and reports its place relative to that spot. A window about the spot
adds what an object looks like that is close to the tool.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_data.episodes.spec import CameraSpec, ImageSpec
from parrot_models.networks.image_encoder import scale_planes
from parrot_models.networks.maps import INPUT_GAIN, make_maps, map_size
from parrot_models.networks.spatial_softmax import SpatialSoftmax
from parrot_models.networks.tool_window import ToolWindow

LOG_PULLS = (-1.0, 3.5)  # range of the initial pull towards that spot
OFFSET_GAIN = 3.0
STRENGTH_SCALE = 4.0


class FovealEncoder(nn.Module):
    """uint8 images (B, H, W, 3) and tool positions (B, 3) -> (B, 3 * num_maps + window_dim).

    Args:
        image: height H and width W.
        camera: of the images.
        surface_height_m: z of the spot under the tool: where the middle of an object would be.
        num_maps: attention maps; each gives an offset (x, y) and a strength.
        channels: of the hidden maps.
        window_dim: width of what the window about the tool shows; 0 is without one.
    """

    def __init__(
        self,
        image: ImageSpec,
        camera: CameraSpec,
        surface_height_m: float,
        num_maps: int,
        channels: int,
        window_dim: int = 0,
    ) -> None:
        super().__init__()
        self.feature_dim = 3 * num_maps + window_dim
        self.window = ToolWindow(image, channels, window_dim) if window_dim else None
        self.maps = make_maps(4, channels, num_maps)
        self.log_pull = nn.Parameter(torch.linspace(*LOG_PULLS, num_maps)[:, None])
        size = map_size(image.height, image.width)
        self.attend = SpatialSoftmax(size, num_maps, STRENGTH_SCALE)
        self.mean_image: Tensor
        self.register_buffer("mean_image", torch.zeros(1, 4, image.height, image.width))
        self.projection: Tensor
        projection = projection_of(camera, surface_height_m)
        self.register_buffer("projection", projection, persistent=False)

    def init_from_data(self, images: Tensor) -> None:
        """Take the mean image of uint8 (B, H, W, 3)."""
        self.mean_image.copy_(with_chroma(images).mean(0, keepdim=True))

    def forward(self, images: Tensor, positions: Tensor) -> Tensor:
        """Offsets' x, their y, and strengths of all maps, then what the window shows, float32."""
        mean_image = self.mean_image.contiguous()  # as `with_chroma` has its planes
        difference = with_chroma(images).sub_(mean_image).mul_(INPUT_GAIN)
        spot = self.spot_under(positions)[:, None]
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

    def spot_under(self, positions: Tensor) -> Tensor:
        """Where the image shows the spot under a tool at (B, 3), m: (B, 2) in [-1, 1]."""
        return project(positions, self.projection)


def project(positions: Tensor, projection: Tensor) -> Tensor:
    """See `FovealEncoder.spot_under`; `projection` is what `projection_of` gives."""
    of_x, of_y, of_one = projection
    # No matrix product: autocast would round a place to the bits of bfloat16.
    clip = torch.addcmul(of_one, positions[:, :1], of_x).addcmul_(positions[:, 1:2], of_y)
    return clip[:, :2] / clip[:, 2:]


def projection_of(camera: CameraSpec, height_m: float) -> Tensor:
    """(3, 3): (x, y, 1) at a height, times this, is w times (right, down, 1) in the image."""
    matrix = torch.tensor(camera.projection).view(4, 4).T @ torch.tensor(camera.view).view(4, 4).T
    of_x, of_y, of_z, of_one = matrix[[0, 1, 3]].T * torch.tensor([1.0, -1.0, 1.0])
    return torch.stack([of_x, of_y, of_z * height_m + of_one])


def _for_convolutions(images: Tensor) -> Tensor:
    """Channels last, and in autocast's dtype: in two steps, which takes half as long as in one."""
    device = images.device.type
    is_low = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if is_low else images.dtype
    return images.contiguous(memory_format=torch.channels_last).to(dtype)


def with_chroma(images: Tensor) -> Tensor:
    """Scaled images with a fourth channel, max less min of RGB: (B, 4, H, W).

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
