"""What the camera of the synthetic plates sees: a plate on a car, drawn flat in millimetres.

The plate's top left corner is (0, 0). First the bodywork with what surrounds plates on cars
(recess, grille, chrome, gaps, emblem, lamps, reflections), coarsely, for none of it is sharp; then
the plate with its shadow, frame, screws and dirt. Colours are 8-bit in even light.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from benchmark.data.synthetic.camera import View, around_128, grey_field, photograph, project
from benchmark.data.synthetic.plate_face import HEIGHT, Face, draw_face, plate_font

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

_PAINTS: tuple[tuple[float, Colour], ...] = (
    (0.36, (206, 209, 207)),  # white
    (0.26, (32, 34, 38)),  # black
    (0.13, (140, 143, 148)),  # silver
    (0.08, (88, 92, 98)),  # grey
    (0.05, (104, 92, 80)),  # brown, champagne
    (0.05, (122, 28, 36)),  # red
    (0.04, (38, 52, 92)),  # blue
    (0.02, (186, 174, 150)),  # beige
    (0.01, (170, 120, 44)),  # yellow, orange
)
_FINE = 2
"""The bodywork is drawn this much larger and reduced, for smooth edges."""


class Surface:
    """A drawing in millimetres: a picture of ``box`` (left, top, right, bottom) at a scale."""

    def __init__(self, box: Box, scale_x: float, scale_y: float) -> None:
        self.box, self.scale_x, self.scale_y = box, scale_x, scale_y
        size = (max(1, round((box[2] - box[0]) * scale_x)), max(1, round((box[3] - box[1]) * scale_y)))
        self.show(Image.new("RGB", size))

    def show(self, picture: Image.Image) -> None:
        """Go on with another picture."""
        self.picture, self.draw = picture, ImageDraw.Draw(picture)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel of a point in millimetres."""
        return (x - self.box[0]) * self.scale_x, (y - self.box[1]) * self.scale_y

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self.draw.polygon([self.at(x, y) for x, y in points], fill=colour)

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour, ring: float = 0.0) -> None:
        """An ellipse with these half axes, filled, or with ``ring`` > 0 a line of that thickness."""
        ends = (*self.at(x - across, y - down), *self.at(x + across, y + down))
        if ring:
            self.draw.ellipse(ends, outline=colour, width=max(1, round(ring * self.scale_y)))
        else:
            self.draw.ellipse(ends, fill=colour)

    def rounded(self, box: Box, radius: float, colour: Colour) -> None:
        ends = (*self.at(box[0], box[1]), *self.at(box[2], box[3]))
        self.draw.rounded_rectangle(ends, radius * self.scale_y, fill=colour)

    def band(self, y: float, thickness: float, bend: float, colour: Colour) -> None:
        """A strip across the picture, bent like a bumper: ``bend`` mm down 300 mm off its middle."""
        xs = [self.box[0] + (self.box[2] - self.box[0]) * i / 10 for i in range(11)]
        curve = [(x, y + bend * ((x - 220) / 300) ** 2) for x in xs]
        self.polygon(curve + [(x, v + thickness) for x, v in reversed(curve)], colour)


def draw_photo(text: str, view: View, rng: np.random.Generator) -> Image.Image:
    """A photograph (RGB) of the plate that reads ``text`` on some car, lying where ``view`` says."""
    (rx, ry), (lx, ly), (tx, ty), _ = view.corners
    across, upright = float(np.hypot(rx - lx, ry - ly)), float(np.hypot(tx - lx, ty - ly))
    face = draw_face(text, 1 if across < 330 else 2)
    width, height = round(1.05 * across), round(1.05 * upright)
    scale = width / face.width, height / HEIGHT
    # Whole pixels from the drawing's edge to the plate.
    reach = view.reach()
    left, top = int(1 - reach[0] * width), int(1 - reach[1] * height)
    right, bottom = int(reach[2] * width + 2), int(reach[3] * height + 2)
    box = (-left / scale[0], -top / scale[1], right / scale[0], bottom / scale[1])

    body = Surface(box, scale[0] * _FINE, scale[1] * _FINE)
    _draw_body(body, face.width, rng)
    surface = Surface(box, *scale)
    surface.show(body.picture.reduce(_FINE))
    _light_body(surface, face.width, rng)
    _mount_plate(surface, face, (left, top, width, height), rng)
    return photograph(project(surface.picture, (left, top, width, height), view), across, rng)


# --- the car ----------------------------------------------------------------------------------


def _draw_body(body: Surface, width: int, rng: np.random.Generator) -> None:
    """Bodywork around a plate of ``width`` mm: paint in soft light, and some of the usual parts."""
    paint = _PAINTS[int(rng.choice(len(_PAINTS), p=[share for share, _ in _PAINTS]))][1]
    paint = _shade(paint, rng.uniform(0.75, 1.15))
    body.picture.paste(paint, (0, 0, *body.picture.size))
    plastic = _shade((34, 36, 38), rng.uniform(0.5, 1.8))
    bend = rng.uniform(-30, 12)
    if rng.random() < 0.35:
        _grille(body, -220, rng.uniform(-150, -30), plastic, bend, rng)
    if rng.random() < 0.6:  # the dark lower part of a bumper, or a dark strip that the plate sits on
        low = rng.uniform(0, 190)
        body.band(low, float(rng.choice([70.0, 160.0, 500.0])), bend, plastic)
        if rng.random() < 0.4:
            _grille(body, low + 20, 420, plastic, bend, rng)
    if rng.random() < 0.45:
        _recess(body, width, paint, rng)
    _contours(body, width, paint, rng)
    for _ in range(int(rng.integers(1, 6))):  # gaps and creases with a lit edge
        y = rng.uniform(-190, -15) if rng.random() < 0.5 else rng.uniform(155, 300)
        body.band(y, rng.uniform(3, 10), bend, _shade(paint, rng.uniform(0.2, 0.7)))
        body.band(y + 9, rng.uniform(3, 14), bend, _shade(paint, rng.uniform(1.1, 1.5)))
    if rng.random() < 0.45:
        _chrome(body, width, bend, rng)
    if rng.random() < 0.5:
        _emblem(body, width, rng)
    if rng.random() < 0.2:  # rear lamps
        lamp = [(110, 22, 26), (140, 60, 54), (170, 170, 168)][int(rng.integers(3))]
        for x in (-rng.uniform(70, 170), width + rng.uniform(70, 170)):
            body.rounded((x - 60, rng.uniform(-120, 0), x + 60, rng.uniform(40, 110)), 25, lamp)


def _grille(body: Surface, low: float, high: float, plastic: Colour, bend: float, rng: np.random.Generator) -> None:
    """A grille between two heights: bars across, bars upright, or a mesh."""
    body.band(low, high - low, bend, _shade(plastic, 0.6))
    kind, step = rng.choice([0, 0, 0, 1, 2]), rng.uniform(14, 32)  # across, upright, mesh
    bar = _shade((104, 106, 112), rng.uniform(0.3, 1.3))
    if kind == 0:
        for i in range(int((high - low) / step)):
            body.band(low + (i + 0.5) * step, step * rng.uniform(0.25, 0.5), bend, bar)
        return
    lean = 0.0 if kind == 1 else high - low
    for i in range(-20, int((body.box[2] - body.box[0]) / step) + 20):
        x = body.box[0] + i * step
        for sign in (1, -1) if lean else (1,):
            points = [(x, low), (x + step * 0.3, low), (x + step * 0.3 + sign * lean, high), (x + sign * lean, high)]
            body.polygon(points, bar)


def _recess(body: Surface, width: int, paint: Colour, rng: np.random.Generator) -> None:
    """The hollow in a boot lid or bumper that holds the plate: its rim, its floor, its upper shadow."""
    side, above, below = rng.uniform(12, 70), rng.uniform(6, 40), rng.uniform(8, 45)
    slope, corner = rng.uniform(-15, 40), rng.uniform(6, 26)
    floor = _shade(paint, rng.uniform(0.4, 0.95))
    rim, edge = _shade(paint, rng.uniform(0.9, 1.5)), _shade(paint, rng.uniform(0.3, 0.8))
    for grow, colour in ((rng.uniform(5, 14), rim), (4, edge), (0, floor)):
        left, right, top, bottom = -side - grow, width + side + grow, -above - grow, HEIGHT + below + grow
        points = [(left, top + corner), (left + corner, top), (right - corner, top), (right, top + corner)]
        points += [(right - slope, bottom - corner), (right - slope - corner, bottom)]
        points += [(left + slope + corner, bottom), (left + slope, bottom - corner)]
        body.polygon(points, colour)
    if rng.random() < 0.6:
        low = -above + rng.uniform(0.3, 1.3) * above
        points = [(-side, -above), (width + side, -above), (width + side, low), (-side, low)]
        body.polygon(points, _shade(floor, rng.uniform(0.3, 0.6)))


def _chrome(body: Surface, width: int, bend: float, rng: np.random.Generator) -> None:
    """A chrome strip above (seldom below) the plate that mirrors sky and road."""
    y = rng.uniform(-110, -28) if rng.random() < 0.8 else rng.uniform(165, 220)
    thick = rng.uniform(12, 38)
    sky, road = _shade((230, 234, 238), rng.uniform(0.6, 1.1)), _shade((70, 72, 74), rng.uniform(0.3, 1.5))
    if rng.random() < 0.6:
        body.band(y, thick, bend, road)
        body.band(y, thick * rng.uniform(0.3, 0.7), bend, sky)
        return
    over = rng.uniform(-60, 60)
    body.rounded((-over, y, width + over, y + thick), thick / 2, road)
    body.rounded((-over + 4, y + 2, width + over - 4, y + thick * rng.uniform(0.4, 0.7)), thick / 4, sky)


def _emblem(body: Surface, width: int, rng: np.random.Generator) -> None:
    """A maker's sign above the plate: a ring with strokes, of no make in particular."""
    x, y = width / 2 + rng.normal(0, 6), rng.uniform(-135, -62)
    across, down = rng.uniform(24, 58), rng.uniform(20, 36)
    metal = _shade((190, 192, 196), rng.uniform(0.5, 1.2))
    if rng.random() < 0.6:
        body.ellipse(x, y, across, down, _shade((40, 42, 46), rng.uniform(0.5, 2.0)))
    body.ellipse(x, y, across, down, metal, ring=rng.uniform(5, 9))
    for _ in range(int(rng.integers(1, 4))):
        start, end = rng.uniform(-0.6, 0.6) * across, rng.uniform(-0.6, 0.6) * across
        points = [(x + start - 4, y - down), (x + start + 4, y - down)]
        body.polygon([*points, (x + end + 4, y + down), (x + end - 4, y + down)], metal)


def _contours(body: Surface, width: int, paint: Colour, rng: np.random.Generator) -> None:
    """Slanting edges of panels and their reflections, mirrored about the middle of the car."""
    for _ in range(int(rng.integers(0, 5))):
        colour = _shade(paint, rng.uniform(0.3, 1.6))
        out, y, thick = rng.uniform(-60, 220), rng.uniform(-200, 260), rng.uniform(3, 22)
        far, rise, sag = out + rng.uniform(60, 320), rng.uniform(-140, 140), rng.uniform(-40, 40)
        steps = [i / 6 for i in range(7)]
        line = [(out + (far - out) * t, y + rise * t + sag * 4 * t * (1 - t)) for t in steps]
        line += [(x, v + thick * t) for (x, v), t in zip(reversed(line), reversed(steps))]
        body.polygon([(width + x, v) for x, v in line], colour)
        body.polygon([(-x, v) for x, v in line], colour)


def _light_body(surface: Surface, width: int, rng: np.random.Generator) -> None:
    """Light on the bodywork: shading, soft bands and glints that it mirrors, the plate's shadow."""
    columns, rows = surface.picture.size
    sketch = Surface(surface.box, surface.scale_x / 4, surface.scale_y / 4)  # all of this is soft
    coarse = sketch.picture.size
    bend = rng.uniform(-60, 30)
    for _ in range(int(rng.integers(1, 6))):
        grey = int(rng.uniform(20, 160))
        sketch.band(rng.uniform(*surface.box[1::2]), rng.uniform(8, 90), bend * rng.uniform(0.3, 1.5), (grey,) * 3)
    bands = sketch.picture.convert("L").filter(ImageFilter.BoxBlur(rng.uniform(0.3, 3)))
    patches = np.maximum(0, rng.normal(0.5, 0.6, (5, 8))) * rng.gamma(1.5, 60)
    glints = np.maximum(0, rng.normal(-0.9, 0.6, (24, 7))) * rng.gamma(1.0, 35)
    mirror = ImageChops.multiply(bands, grey_field(patches, *coarse))
    mirror = ImageChops.add(mirror, grey_field(glints, *coarse)).resize((columns, rows), Image.Resampling.BILINEAR)
    slope = np.linspace(-1, 1, 7)[:, None]
    grid = rng.normal(0, 1, (7, 1)) + 0.4 * rng.normal(0, 1, (7, 7)) + rng.normal(0, 1) * slope
    shading = grey_field(215 * (1 + rng.uniform(0.05, 0.2) * grid), *coarse)
    if rng.random() < 0.8:  # the plate stands off the bodywork a little and shades it, mostly below
        shadow = Surface(surface.box, surface.scale_x / 4, surface.scale_y / 4)
        ends = (rng.uniform(-8, 2), 2, width + rng.uniform(-2, 8), HEIGHT + rng.uniform(2, 16))
        shadow.rounded(ends, 4, (int(rng.uniform(90, 230)),) * 3)
        blur = ImageFilter.BoxBlur(rng.uniform(0.2, 1.4) * surface.scale_y)
        shading = ImageChops.multiply(shading, ImageChops.invert(shadow.picture.convert("L").filter(blur)))
    shading = shading.resize((columns, rows), Image.Resampling.BILINEAR)
    shaded = ImageChops.multiply(surface.picture, Image.merge("RGB", (shading,) * 3))
    surface.show(ImageChops.add(shaded, Image.merge("RGB", (mirror,) * 3)))


# --- the plate --------------------------------------------------------------------------------


def _mount_plate(surface: Surface, face: Face, place: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Put the plate where it belongs (left, top, width, height): frame, painted metal, screws, dirt."""
    if rng.random() < 0.45:
        _frame(surface, face.width, rng)
    size = place[2:]
    ink, relief, outline = (mask.resize(size, Image.Resampling.BOX) for mask in (face.ink, face.relief, face.outline))
    ground, paint = _plate_colours(face.width, size, rng)
    plate = Image.composite(Image.new("RGB", size, paint), ground, ink)
    edges = relief.point(around_128(rng.uniform(0.05, 0.7)))
    plate = ImageChops.add(plate, Image.merge("RGB", (edges,) * 3), 1, -128)
    light = 235 * (1 + rng.uniform(0.01, 0.06) * rng.normal(0, 1, (10, 8)))
    if rng.random() < 0.3:  # the shadow of what overhangs the plate
        light[: int(rng.integers(1, 5))] *= rng.uniform(0.4, 0.8)
    plate = ImageChops.multiply(plate, Image.merge("RGB", (grey_field(light, *size),) * 3))
    if rng.random() < 0.4:  # dust, thicker in places
        dust = grey_field(255 * np.clip(rng.normal(0.1, 0.16, (6, 18)), 0, 0.5), *size)
        plate.paste((128, 120, 106), (0, 0), dust)
    surface.picture.paste(plate, place[:2], outline)
    _screws(surface, face.width, rng)


def _plate_colours(width: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, Colour]:
    """Ground and paint of a plate in even light: white on blue, or black on a green that fades upwards."""
    if width == 440:
        fading, white = max(0.0, rng.normal(0.06, 0.1)), rng.uniform(0.8, 1.09)
        blue = [28 + rng.normal(0, 9), 80 + rng.normal(0, 18), 204 + rng.normal(0, 15)]
        faded = [int(min(255, max(0, level + (140 - level) * fading))) for level in blue]
        return Image.new("RGB", size, tuple(faded)), _shade((206, 216, 218), white)
    fade = np.linspace(0, 1, 8)[:, None] * rng.uniform(0.5, 1.1)
    bands = [grey_field(top + (bottom - top) * fade, *size) for top, bottom in ((215, 100), (240, 210), (212, 130))]
    return Image.merge("RGB", bands), (34, 36, 36)


def _frame(surface: Surface, width: int, rng: np.random.Generator) -> None:
    """A holder around the plate, dark or bright, often with a dealer's line under it."""
    rim, lip = rng.uniform(3, 13), rng.uniform(4, 26)
    colour = _shade((26, 27, 29), rng.uniform(0.5, 1.8)) if rng.random() < 0.75 else (165, 167, 170)
    surface.rounded((-rim, -rim, width + rim, HEIGHT + lip), 8, colour)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if rng.random() < 0.5 else "0123456789-"
    line = "".join(rng.choice(list(letters), int(rng.integers(5, 13))))
    if lip > 16 and rng.random() < 0.8:
        font = plate_font(max(5, round((lip - 7) * surface.scale_y)))
        bright = _shade((200, 200, 196), rng.uniform(0.5, 1.1))
        surface.draw.text(surface.at(width / 2, HEIGHT + lip / 2 + 2), line, fill=bright, font=font, anchor="mm")


def _screws(surface: Surface, width: int, rng: np.random.Generator) -> None:
    """Bolts near the four slots; the lower two are often missing."""
    metal = _shade((120, 124, 130), rng.uniform(0.3, 1.6))
    if rng.random() < 0.12:
        metal = (180, 150, 70)
    radius = rng.uniform(3.5, 8)
    dark = _shade((20, 26, 50), rng.uniform(0.6, 1.8))
    for y, chance in ((12.0, 0.85), (HEIGHT - 12.0, 0.35)):
        for x in (96.0, width - 96.0):
            if rng.random() < chance:
                x, y_screw = x + rng.normal(0, 4), y + rng.normal(0, 3)
                surface.ellipse(x + 1, y_screw + 2, radius + 1, radius + 1, dark)
                surface.ellipse(x, y_screw, radius - 1, radius - 1, metal)
                surface.ellipse(x - 1, y_screw - 1, radius * 0.4, radius * 0.4, _shade(metal, 1.4))
            elif rng.random() < 0.6:
                surface.rounded((x - 8, y - 3, x + 8, y + 3), 3, dark)


def _shade(colour: Colour, factor: float) -> Colour:
    r, g, b = (min(255, int(c * factor)) for c in colour)
    return r, g, b
