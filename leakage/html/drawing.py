"""Scalable drawings as text: axes, marks, words. Knows nothing of what they mean.

Arms differ by shape as well as by colour (Okabe & Ito 2008, "Color Universal Design"), so that no
reading depends on seeing colours.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from leakage.plain import written

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#8a5a00", "#cc79a7", "#56b4e9", "#444444", "#b58900")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4", "1 5", "6 2 1 2")
_SHAPES = 6

WIDTH = 720


@dataclass(frozen=True, slots=True)
class Axis:
    """From a value to a place: `low` and `high` of the values, `start` and `end` in pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value, held within the axis."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(slots=True)
class Drawing:
    """Collects elements; `svg` gives them with a name that is read out."""

    title: str
    said: str
    height: float
    width: float = WIDTH
    _parts: list[str] = field(default_factory=list)

    def line(self, points: Iterable[tuple[float, float]], *, kind: str, style: str = "") -> None:
        """A line through points."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polyline class="{kind}" points="{path}"{_style(style)}/>')

    def area(self, points: Iterable[tuple[float, float]], *, colour: str) -> None:
        """A band."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polygon class="band" points="{path}" style="fill:{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, *, style: str) -> None:
        """A rectangle."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0):g}" height="{height:g}"'
            f"{_style(style)}/>"
        )

    def words(
        self, x: float, y: float, text: str, *, anchor: str = "start", kind: str = ""
    ) -> None:
        """A text, where its baseline is."""
        named = f' class="{kind}"' if kind else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{written(text)}</text>'
        )

    def mark(self, x: float, y: float, arm: int, *, tip: str = "", size: float = 5) -> None:
        """The arm's shape in the arm's colour, with a tip that a pointer brings up."""
        shape = _shape(x, y, arm % _SHAPES, size)
        inside = f"<title>{written(tip)}</title>" if tip else ""
        self._parts.append(f'<path class="mark" d="{shape}" fill="{colour(arm)}">{inside}</path>')

    def frame(
        self,
        across: Axis,
        up: Axis,
        *,
        names: tuple[str, str] = ("", ""),
        ticks: Sequence[tuple[float, str]] = (),
        rungs: Sequence[tuple[float, str]] = (),
    ) -> None:
        """Both axes with ticks and names."""
        for value, text in rungs:
            y = up.at(value)
            self.line([(across.start, y), (across.end, y)], kind="grid")
            self.words(across.start - 6, y + 4, text, anchor="end", kind="small")
        for value, text in ticks:
            x = across.at(value)
            self.line([(x, up.start), (x, up.end)], kind="grid")
            self.words(x, up.start + 16, text, anchor="middle", kind="small")
        self.line([(across.start, up.end), (across.start, up.start)], kind="axis")
        self.line([(across.start, up.start), (across.end, up.start)], kind="axis")
        if names[0]:
            middle = (across.start + across.end) / 2
            self.words(middle, up.start + 34, names[0], anchor="middle", kind="small")
        if names[1]:
            self.words(across.start - 6, 14, names[1], anchor="start", kind="small")

    def svg(self) -> str:
        """The element; its name and what it shows come first, for those who do not see it."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{written(self.title)}. {written(self.said)}">'
            f"<title>{written(self.title)}</title>" + "".join(self._parts) + "</svg>"
        )


def colour(arm: int) -> str:
    """Of an arm, by its number."""
    return COLOURS[arm % len(COLOURS)]


def key(arms: Sequence[str]) -> str:
    """Which shape and line is which arm."""
    entries = []
    for number, name in enumerate(arms):
        dash = DASHES[number % len(DASHES)]
        entries.append(
            '<li><svg viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">'
            f'<line x1="1" y1="7" x2="33" y2="7" stroke="{colour(number)}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
            f'<path class="mark" d="{_shape(17, 7, number % _SHAPES, 5)}"'
            f' fill="{colour(number)}"/></svg> {written(name)}</li>'
        )
    return f'<ul class="key">{"".join(entries)}</ul>'


def stroke(arm: int) -> str:
    """The style of an arm's lines."""
    return f"stroke:{colour(arm)};stroke-dasharray:{DASHES[arm % len(DASHES)] or 'none'}"


def shares(*, by: float = 0.25) -> list[tuple[float, str]]:
    """Ticks from 0 to 100 %."""
    count = round(1 / by)
    return [(at / count, f"{100 * at / count:g} %") for at in range(count + 1)]


def _style(style: str) -> str:
    return f' style="{style}"' if style else ""


def _shape(x: float, y: float, which: int, r: float) -> str:
    """A closed path around a point: circle, square, triangle, diamond, cross, pentagon."""
    if which == 0:
        return f"M{x - r:g},{y:g}a{r:g},{r:g} 0 1,0 {2 * r:g},0a{r:g},{r:g} 0 1,0 {-2 * r:g},0z"
    if which == 4:
        third = r / 2.5
        steps = [(-third, -r), (third, -r), (third, -third), (r, -third), (r, third)]
        steps += [(third, third), (third, r), (-third, r), (-third, third), (-r, third)]
        steps += [(-r, -third), (-third, -third)]
        return _path((x + dx, y + dy) for dx, dy in steps)
    corners, turned = {1: (4, math.pi / 4), 2: (3, 0.0), 3: (4, 0.0), 5: (5, 0.0)}[which]
    angles = [turned - math.pi / 2 + 2 * math.pi * at / corners for at in range(corners)]
    return _path((x + 1.2 * r * math.cos(a), y + 1.2 * r * math.sin(a)) for a in angles)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + "z"
