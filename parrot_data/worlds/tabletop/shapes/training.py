"""Shapes to train on: plain solids, none of a kind with the unseen ones, three sizes of each."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

from parrot_data.worlds.tabletop.shapes.solids import (
    Part,
    Point2,
    Shape,
    Solid,
    box,
    centered,
    frustum,
    lathe,
    prism,
    pyramid,
    regular,
)

# Stretches of (x, y, z): as it is, low and broad, high and slim.
SIZES = ((1.0, 1.0, 1.0), (1.08, 1.0, 0.75), (0.85, 0.85, 1.25))
Solids = tuple[Solid, ...]


def _rectangle(width: float, depth: float) -> tuple[Point2, ...]:
    x, y = width / 2, depth / 2
    return ((x, y), (-x, y), (-x, -y), (x, -y))


def _star(num_points: int) -> Solids:
    """Spikes about a core."""
    core = regular(num_points, 0.013)
    spikes = []
    for i in range(num_points):
        j = (i + 1) % num_points
        angle = math.tau * (i + 1) / num_points
        tip = (0.027 * math.cos(angle), 0.027 * math.sin(angle))
        spikes.append(prism((core[i], tip, core[j]), 0.030))
    return (prism(core, 0.030), *spikes)


def _cross() -> Solids:
    arms = [box(0.018, 0.016, 0.032).moved(x=x) for x in (-0.017, 0.017)]
    return (box(0.016, 0.052, 0.032), *arms)


def _jack() -> Solids:
    """Three bars through each other."""
    bars = (box(0.048, 0.015, 0.015), box(0.015, 0.048, 0.015)), box(0.015, 0.015, 0.048)
    return (*(bar.moved(z=0.0165) for bar in bars[0]), bars[1])


def _stairs() -> Solids:
    return tuple(
        box(0.016, 0.036, 0.014 * (step + 1)).moved(x=0.016 * (step - 1)) for step in range(3)
    )


def _barbell() -> Solids:
    ball = [(0.013, 0.0), (0.017, 0.008), (0.013, 0.016)]
    ends = [lathe(ball, 6).turned("y", 90.0).moved(x=x, z=0.015) for x in (-0.027, 0.011)]
    return (box(0.022, 0.012, 0.012).moved(z=0.009), *ends)


def _arch() -> Solids:
    return (
        box(0.052, 0.026, 0.014).moved(z=0.022),
        *(box(0.015, 0.026, 0.022).moved(x=x) for x in (-0.0185, 0.0185)),
    )


def _tower() -> Solids:
    widths = (0.044, 0.032, 0.020)
    return tuple(box(w, w, 0.016).moved(z=0.016 * i) for i, w in enumerate(widths))


def _screw() -> Solids:
    """Slabs, each turned a little further than the one below."""
    return tuple(
        box(0.040, 0.022, 0.012).turned("z", 25.0 * i).moved(z=0.012 * i) for i in range(4)
    )


def _spindle() -> Solids:
    lower = lathe([(0.024, 0.0), (0.009, 0.024)], 6, has_top=False)
    return (lower, lathe([(0.009, 0.024), (0.024, 0.048)], 6, has_bottom=False))


def _gem() -> Solids:
    return (lathe([(0.010, 0.0), (0.025, 0.020), (0.016, 0.034)], 6),)


KINDS: dict[str, Callable[[], Solids]] = {
    "triangle": lambda: (prism(regular(3, 0.028), 0.036),),
    "pentagon": lambda: (prism(regular(5, 0.025), 0.032),),
    "ramp": lambda: (
        prism(((0.0, 0.0), (0.048, 0.0), (0.048, 0.016), (0.0, 0.036)), 0.030).turned("x", 90.0),
    ),
    "frustum": lambda: (frustum(_rectangle(0.040, 0.040), 0.034, 0.88),),
    "obelisk": lambda: (
        frustum(_rectangle(0.036, 0.036), 0.040, 0.86),
        pyramid(_rectangle(0.031, 0.031), 0.016).moved(z=0.040),
    ),
    "octahedron": lambda: (lathe([(0.010, 0.0), (0.027, 0.022), (0.0, 0.050)], 4),),
    "dome": lambda: (lathe([(0.025, 0.0), (0.024, 0.014), (0.015, 0.026), (0.0, 0.031)], 8),),
    "gem": _gem,
    "spindle": _spindle,
    "star5": lambda: _star(5),
    "star6": lambda: _star(6),
    "cross": _cross,
    "jack": _jack,
    "letter_l": lambda: (box(0.018, 0.050, 0.030), box(0.022, 0.018, 0.030).moved(0.020, -0.016)),
    "letter_t": lambda: (box(0.016, 0.052, 0.030), box(0.026, 0.018, 0.030).moved(0.021)),
    "letter_z": lambda: (
        box(0.018, 0.030, 0.028).moved(-0.009, -0.012),
        box(0.018, 0.030, 0.028).moved(0.009, 0.012),
    ),
    "letter_u": lambda: (
        box(0.014, 0.044, 0.028).moved(-0.017),
        *(box(0.034, 0.013, 0.028).moved(0.007, y) for y in (-0.0155, 0.0155)),
    ),
    "stairs": _stairs,
    "barbell": _barbell,
    "arch": _arch,
    "tower": _tower,
    "screw": _screw,
}


def training_shapes() -> dict[str, Shape]:
    """Every training shape by name, the middle of its bounding box at the origin."""
    shapes: dict[str, Shape] = {}
    for kind, make in KINDS.items():
        for number, (x, y, z) in enumerate(SIZES):
            # Multiples of the golden ratio never come close to each other on the circle of hues.
            hue = (len(shapes) * 0.6180339887 + 0.3) % 1.0
            red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.75 + 0.1 * number)
            # To the digits that JSON keeps: the same bytes on every machine.
            color = (round(red, 4), round(green, 4), round(blue, 4), 1.0)
            solids = tuple(solid.scaled(x, y, z) for solid in make())
            shapes[f"{kind}_{number + 1}"] = centered((Part(color, solids),))
    return shapes
