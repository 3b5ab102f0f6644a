"""The shapes held out for new tasks: things with a name, in colours of their own.

Each fits between the open fingers at any turn, and stands as high as that allows: what the camera
sees at 48x48 is little enough.
"""

from __future__ import annotations

from parrot_data.worlds.tabletop.shapes.solids import (
    Shape,
    box,
    centered,
    frustum,
    lathe,
    part,
    prism,
    pyramid,
    regular,
)


def can() -> Shape:
    """A drinks can: a red body with a white band, silver lid and foot."""
    foot = lathe([(0.020, 0.0), (0.0245, 0.004)], 10, has_top=False)
    lower = lathe([(0.0245, 0.004), (0.0245, 0.024)], 10, has_bottom=False, has_top=False)
    band = lathe([(0.0245, 0.024), (0.0245, 0.038)], 10, has_bottom=False, has_top=False)
    upper = lathe([(0.0245, 0.038), (0.0245, 0.058)], 10, has_bottom=False, has_top=False)
    lid = lathe([(0.0245, 0.058), (0.019, 0.064), (0.017, 0.064), (0.016, 0.061)], 10,
                has_bottom=False)  # fmt: skip
    return (
        part(0.82, 0.06, 0.08, lower, upper),
        part(0.96, 0.96, 0.96, band),
        part(0.62, 0.64, 0.68, foot, lid),
    )


def bar() -> Shape:
    """A bar of gold, broad at its foot."""
    corners = ((0.028, 0.0145), (-0.028, 0.0145), (-0.028, -0.0145), (0.028, -0.0145))
    return (part(1.0, 0.76, 0.05, frustum(corners, 0.028, 0.90)),)


def cup() -> Shape:
    """A blue cup, dark inside, with a handle."""
    outside = lathe([(0.016, 0.0), (0.0215, 0.012), (0.0225, 0.050)], 10, has_top=False)
    rim = lathe([(0.0225, 0.050), (0.0185, 0.050)], 10, has_bottom=False, has_top=False)
    inside = lathe([(0.0185, 0.050), (0.015, 0.022)], 10, has_bottom=False)
    arms = [box(0.014, 0.009, 0.006).moved(x=0.027, z=z) for z in (0.012, 0.036)]
    grip = box(0.006, 0.009, 0.030).moved(x=0.034, z=0.012)
    return (part(0.10, 0.35, 0.90, outside, rim, *arms, grip), part(0.05, 0.08, 0.20, inside))


def baseball_cap() -> Shape:
    """A green cap: a dome with a button, and a long peak of another colour."""
    dome = lathe([(0.0215, 0.0), (0.0225, 0.013), (0.019, 0.025), (0.010, 0.033), (0.0, 0.035)], 10)
    button = box(0.007, 0.007, 0.004).moved(z=0.034)
    peak = ((0.0, 0.0215), (0.0, -0.0215), (0.022, -0.0210), (0.033, -0.014), (0.037, 0.0),
            (0.033, 0.014), (0.022, 0.0210))  # fmt: skip
    return (
        part(0.05, 0.55, 0.20, dome),
        part(0.98, 0.85, 0.10, prism(peak, 0.007).moved(z=0.006), button),
    )


def sculpture() -> Shape:
    """A bust of verdigris on a dark plinth: shoulders, neck, head and nose."""
    plinth = box(0.036, 0.036, 0.014)
    waist = frustum(_rectangle(0.014, 0.020), 0.014, 1.5).moved(z=0.014)
    shoulders = frustum(_rectangle(0.021, 0.046), 0.010, 0.45).moved(z=0.028)
    neck = prism(regular(6, 0.006), 0.008).moved(z=0.036)
    head = lathe([(0.007, 0.0), (0.0125, 0.008), (0.0125, 0.018), (0.007, 0.026)], 8)
    nose = pyramid(_rectangle(0.011, 0.008), 0.009).turned("y", 90.0).moved(x=0.010, z=0.012)
    face = [solid.scaled(y=0.85).moved(z=0.042) for solid in (head, nose)]
    return (
        part(0.22, 0.20, 0.22, plinth),
        part(0.35, 0.75, 0.66, waist, shoulders, neck, *face),
    )


def chair() -> Shape:
    """A chair of orange wood: a seat, four legs, and a back of two posts and two rails."""
    seat = box(0.040, 0.040, 0.006).moved(z=0.030)
    legs = [
        box(0.007, 0.007, 0.030).moved(x, y) for x in (-0.0165, 0.0165) for y in (-0.0165, 0.0165)
    ]
    posts = [box(0.006, 0.007, 0.034).moved(-0.017, y, 0.036) for y in (-0.0165, 0.0165)]
    rails = [box(0.005, 0.026, 0.009).moved(-0.017, 0.0, z) for z in (0.045, 0.061)]
    return (part(0.95, 0.42, 0.05, seat, *legs, *posts, *rails),)


def bottle() -> Shape:
    """A bottle of dark green glass with a label and a cork."""
    body = lathe([(0.0185, 0.0), (0.0185, 0.040)], 8, has_top=False)
    shoulder = lathe([(0.0185, 0.040), (0.008, 0.054)], 8, has_bottom=False, has_top=False)
    neck = lathe([(0.008, 0.054), (0.008, 0.068)], 8, has_bottom=False, has_top=False)
    label = lathe([(0.019, 0.012), (0.019, 0.032)], 8, has_bottom=False, has_top=False)
    cork = lathe([(0.0085, 0.068), (0.0085, 0.076)], 8)
    return (
        part(0.06, 0.30, 0.16, body, shoulder, neck),
        part(0.95, 0.92, 0.80, label),
        part(0.72, 0.48, 0.28, cork),
    )


def teapot() -> Shape:
    """A violet teapot: a belly with a lid and a knob, a spout, and a handle across from it."""
    belly = lathe([(0.013, 0.0), (0.020, 0.010), (0.020, 0.024), (0.012, 0.034)], 8)
    lid = lathe([(0.013, 0.034), (0.004, 0.040)], 8, has_bottom=False)
    knob = box(0.009, 0.009, 0.008).moved(z=0.039)
    spout = frustum(_rectangle(0.011, 0.010), 0.024, 0.6).turned("y", 32.0).moved(0.015, 0.0, 0.016)
    arms = [box(0.012, 0.007, 0.006).moved(x=-0.023, z=z) for z in (0.008, 0.028)]
    grip = box(0.005, 0.007, 0.026).moved(x=-0.0305, z=0.008)
    return (
        part(0.55, 0.22, 0.75, belly, spout, *arms, grip),
        part(0.97, 0.80, 0.97, lid, knob),
    )


def duck() -> Shape:
    """A yellow bath duck: body and tail, a head, an orange beak and black eyes."""
    body = lathe([(0.010, 0.0), (0.021, 0.008), (0.021, 0.018), (0.012, 0.028)], 8)
    tail = pyramid(_rectangle(0.014, 0.022), 0.016).turned("y", -50.0).moved(-0.017, 0.0, 0.017)
    head = lathe(
        [(0.006, 0.0), (0.0135, 0.007), (0.0135, 0.016), (0.006, 0.023)], 8, has_bottom=False
    )
    beak = box(0.012, 0.014, 0.005).moved(x=0.029, z=0.038)
    eyes = [box(0.006, 0.004, 0.005).moved(0.0215, y, 0.045) for y in (-0.006, 0.006)]
    return (
        part(1.0, 0.88, 0.10, body.scaled(x=1.15), tail, head.moved(x=0.010, z=0.027)),
        part(0.98, 0.40, 0.05, beak),
        part(0.05, 0.05, 0.05, *eyes),
    )


def car() -> Shape:
    """A pink car: a body, a cabin with dark windows, and four wheels."""
    body = box(0.056, 0.030, 0.014).moved(z=0.006)
    roof = box(0.024, 0.024, 0.003).moved(x=-0.004, z=0.032)
    windows = frustum(_rectangle(0.036, 0.028), 0.012, 0.8).moved(x=-0.004, z=0.020)
    wheel = prism(regular(8, 0.009), 0.006).turned("x", 90.0)
    wheels = [wheel.moved(x, y, 0.009) for x in (-0.017, 0.017) for y in (-0.013, 0.019)]
    return (
        part(0.95, 0.25, 0.60, body, roof),
        part(0.10, 0.14, 0.20, windows),
        part(0.08, 0.08, 0.08, *wheels),
    )


def _rectangle(width: float, depth: float) -> tuple[tuple[float, float], ...]:
    x, y = width / 2, depth / 2
    return ((x, y), (-x, y), (-x, -y), (x, -y))


# Drawn at a handy size, then brought to one that the fingers hold at any turn.
SCALES = {duck: 0.90}


def unseen_shapes() -> dict[str, Shape]:
    """Every held-out shape by name, the middle of its bounding box at the origin."""
    makers = (can, bar, cup, baseball_cap, sculpture, chair, bottle, teapot, duck, car)
    return {maker.__name__: centered(maker(), SCALES.get(maker, 1.0)) for maker in makers}
