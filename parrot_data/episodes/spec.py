"""What the episodes of a dataset hold: observations and actions by name, and what is known of them.

A dataset's manifest carries its spec, so does everything trained on it, and a world says its own.
Models are built from it alone. What special parts need beyond names and shapes (a camera, where the
tool stands, a symmetry) is there only where it is known: a part that needs what a spec lacks raises
`UserError` and never guesses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from parrot_data.errors import UserError

# Names go into file names of tars and of Zarr arrays, and into keys of weights.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
MAX_SIDE = 4096  # pixels of an image
MAX_DIM = 65536  # numbers of a vector or an action, or along an axis of a privileged array
MAX_NUMBERS = 1 << 22  # of a privileged array, at one step


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ImageSpec(_Described):
    """An RGB image: uint8 (height, width, 3).

    Attributes:
        height, width: pixels.
    """

    kind: Literal["image"] = "image"
    height: int = Field(ge=1, le=MAX_SIDE)
    width: int = Field(ge=1, le=MAX_SIDE)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one observation."""
        return (self.height, self.width, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its numbers."""
        return np.dtype(np.uint8)


class VectorSpec(_Described):
    """Numbers that are no image: float32 (dim,).

    Attributes:
        dim: how many.
    """

    kind: Literal["vector"] = "vector"
    dim: int = Field(ge=1, le=MAX_DIM)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one observation."""
        return (self.dim,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its numbers."""
        return np.dtype(np.float32)


ObservationSpec = Annotated[ImageSpec | VectorSpec, Field(discriminator="kind")]


class ActionSpec(_Described):
    """The action: float32 (dim,), between bounds where it has any.

    Attributes:
        dim: its width.
        low, high: bounds, a number a dimension; both or neither.
    """

    dim: int = Field(ge=1, le=MAX_DIM)
    low: list[float] | None
    high: list[float] | None

    @model_validator(mode="after")
    def _check(self) -> ActionSpec:
        if (self.low is None) != (self.high is None):
            raise ValueError("an action has both bounds or neither")
        if self.low is not None and self.high is not None:
            if not len(self.low) == len(self.high) == self.dim:
                raise ValueError(f"an action of {self.dim} dimensions needs as many bounds")
            if any(low >= high for low, high in zip(self.low, self.high, strict=True)):
                raise ValueError("each lower bound of an action lies below its upper one")
        return self


class CameraSpec(_Described):
    """How the camera of an image projects, as OpenGL does it.

    Attributes:
        view, projection: 4x4 matrices, column by column (16 numbers), as PyBullet gives them.
    """

    view: list[float] = Field(min_length=16, max_length=16)
    projection: list[float] = Field(min_length=16, max_length=16)


class ToolSpec(_Described):
    """What tells the tool's position, and where what it handles lies.

    Attributes:
        vector: name of the observation; where none tells it, of the privileged array that does.
        position: which three of its numbers are x, y and z in m.
        surface_height_m: z of what the tool works on: where the middle of an object would be.
    """

    vector: str
    position: list[int] = Field(min_length=3, max_length=3)
    surface_height_m: float


class MirrorSpec(_Described):
    """A symmetry: the image flipped left to right, and signs for all else.

    Attributes:
        action: a sign (1 or -1) a dimension.
        vectors: the same of each vector observation, by name, and of the privileged array that
            tells the tool's position where no observation does.
    """

    action: list[float]
    vectors: dict[str, list[float]]


class ArraySpec(_Described):
    """A privileged array: any numbers, the same shape at every step.

    Attributes:
        dtype: as numpy spells it, such as "float32".
        shape: of one step.
    """

    dtype: Literal["float32", "float64", "int32", "int64", "uint8", "bool"]
    shape: list[Annotated[int, Field(ge=1, le=MAX_DIM)]] = Field(max_length=5)

    @model_validator(mode="after")
    def _check(self) -> ArraySpec:
        if math.prod(self.shape) > MAX_NUMBERS:
            raise ValueError(f"an array of shape {self.shape} has more than {MAX_NUMBERS} numbers")
        return self


class EpisodeSpec(_Described):
    """The description of a dataset's episodes; see the module.

    Attributes:
        observations: by name, at least one.
        action: the action.
        control_rate_hz: actions a second; None where unknown.
        cameras: of images, by name; those whose camera is known.
        tool: where the tool's position is told, see `tool_is_told`; None where unknown.
        mirror: the symmetry about the image's vertical middle; None where there is none.
        privileged: arrays that no policy may see, by name.
    """

    observations: dict[str, ObservationSpec] = Field(min_length=1)
    action: ActionSpec
    control_rate_hz: float | None = Field(gt=0)
    cameras: dict[str, CameraSpec]
    tool: ToolSpec | None
    mirror: MirrorSpec | None
    privileged: dict[str, ArraySpec]

    @model_validator(mode="after")
    def _check(self) -> EpisodeSpec:
        for names in (self.observations, self.privileged):
            for name in names:
                if not NAME.fullmatch(name):
                    raise ValueError(f"{name!r} is no name of an array: letters, digits and _ only")
            # webdataset, and file systems of some machines, know no upper and lower case
            if len({name.lower() for name in names}) < len(names):
                raise ValueError("two names of arrays differ in nothing but upper and lower case")
        for name in self.cameras:
            if name not in self.images:
                raise ValueError(f"cameras names {name!r}, which is no image")
        if self.tool is not None:
            dim = {**self._hidden_tool(), **self.vectors}.get(self.tool.vector, 0)
            if not all(0 <= index < dim for index in self.tool.position):
                raise ValueError(f"tool names numbers that {self.tool.vector!r} does not have")
        if self.mirror is not None:
            self._check_mirror(self.mirror)
        return self

    def _check_mirror(self, mirror: MirrorSpec) -> None:
        signs = {"action": mirror.action, **mirror.vectors}
        dims = {"action": self.action.dim, **self.vectors, **self._hidden_tool()}
        if signs.keys() != dims.keys():
            raise ValueError(
                "mirror needs signs for the action, for every vector, and for the privileged array "
                "that tells the tool's position, where no observation does"
            )
        for name, values in signs.items():
            if len(values) != dims[name] or any(abs(value) != 1.0 for value in values):
                raise ValueError(f"mirror needs a sign, 1 or -1, for each number of {name!r}")

    def _hidden_tool(self) -> dict[str, int]:
        """Width, by name, of the privileged array that alone tells the tool's position, if any."""
        if self.tool is None or self.tool_is_told:
            return {}
        array = self.privileged.get(self.tool.vector)
        if array is None or len(array.shape) != 1 or not array.dtype.startswith("float"):
            return {}
        return {self.tool.vector: array.shape[0]}

    @property
    def tool_is_told(self) -> bool:
        """Whether an observation tells the tool's position: a policy may then act on it."""
        return self.tool is not None and self.tool.vector in self.vectors

    @property
    def images(self) -> dict[str, ImageSpec]:
        """The images, by name in order."""
        found = sorted(self.observations.items())
        return {name: each for name, each in found if isinstance(each, ImageSpec)}

    @property
    def vectors(self) -> dict[str, int]:
        """Widths of the vectors, by name in order."""
        found = sorted(self.observations.items())
        return {name: each.dim for name, each in found if isinstance(each, VectorSpec)}

    def check_observation(self, observation: Mapping[str, NDArray[Any]], where: str) -> None:
        """Hold an observation against the spec.

        Args:
            observation: by name.
            where: what it comes from, to begin the error with.

        Raises:
            UserError: names differ, or shape or dtype of one.
        """
        if observation.keys() != self.observations.keys():
            raise UserError(
                f"{where} has the observations {', '.join(sorted(observation)) or 'none'} where "
                f"its spec names {', '.join(sorted(self.observations))}: make them agree"
            )
        for name, wanted in self.observations.items():
            array = np.asarray(observation[name])
            if array.dtype != wanted.dtype or array.shape != wanted.shape:
                raise UserError(
                    f"{where}: the observation {name} is {array.dtype} {array.shape} where its "
                    f"spec says {wanted.dtype} {wanted.shape}: make them agree"
                )


def difference(ours: EpisodeSpec, theirs: EpisodeSpec) -> str:
    """The first field in which two specs disagree about what a policy sees and does, "" if none.

    Privileged arrays, cameras and rates may differ, and so may where the tool's position is told: a
    policy acts without them.
    """
    for name in sorted(ours.observations.keys() | theirs.observations.keys()):
        mine, other = ours.observations.get(name), theirs.observations.get(name)
        if mine != other:
            return f"observations.{name}: {_said(mine)} against {_said(other)}"
    if ours.action.dim != theirs.action.dim:
        return f"action.dim: {ours.action.dim} against {theirs.action.dim}"
    if (ours.action.low, ours.action.high) != (theirs.action.low, theirs.action.high):
        return "the bounds of the action"
    return ""


def _said(spec: ImageSpec | VectorSpec | None) -> str:
    return "none" if spec is None else f"{spec.dtype} {spec.shape}"
