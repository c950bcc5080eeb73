"""The drawings of a report: views in, figures out. Knows no record and no page."""

from collections.abc import Mapping, Sequence

from leakage.contrasts import difference, p_value
from leakage.html.drawing import WIDTH, Axis, Drawing, colour, shares, stroke
from leakage.html.masks import Masks
from leakage.summary import Comparison
from leakage.views import Curve, Dot, Fate, Sample, Standing

_LEFT = 64
_RIGHT = WIDTH - 16
_TOP = 26

# Dark to light for what is bad to good, each with a pattern of its own in its name: see `bars`.
FATE_STYLES: Mapping[Fate, tuple[str, str]] = {
    "leaked": ("#8c1c13", "L"),
    "failed": ("#444444", "E"),
    "over-blocked": ("#d55e00", "B"),
    "over-forgotten": ("#e69f00", "F"),
    "wrong": ("#f0e0a0", "W"),
    "invented": ("#56b4e9", "I"),
    "declined": ("#a8d5f2", "D"),
    "stopped": ("#0072b2", "S"),
    "answered": ("#009e73", "A"),
    "not measurable": ("#dddddd", "N"),
}


def pareto(standings: Sequence[Standing], arms: Sequence[str]) -> Drawing:
    """What comes out against what stays, each with its interval; good is at the upper left."""
    drawing = Drawing(
        "Forgetting against keeping",
        "Each arm's share of forget probes that leaked in any way, and of innocent ones answered.",
        height=420,
    )
    across, up = Axis(0, 1, _LEFT, _RIGHT), Axis(0, 1, 360, _TOP + 20)
    names = ("forget probes that leak, asked in any way", "innocent probes answered")
    drawing.frame(across, up, names=names, ticks=shares(), rungs=shares())
    for standing in standings:
        number = arms.index(standing.arm)
        x, y = across.at(standing.leak.share or 0), up.at(standing.kept.share or 0)
        for low_high in (
            [(across.at(standing.leak.low), y), (across.at(standing.leak.high), y)],
            [(x, up.at(standing.kept.low)), (x, up.at(standing.kept.high))],
        ):
            drawing.line(low_high, kind="whisker", style=f"stroke:{colour(number)}")
        tip = f"{standing.arm}: leaked {standing.leak}; kept {standing.kept}"
        drawing.mark(x, y, number, tip=tip, size=6)
        end = x > 0.7 * WIDTH
        drawing.words(
            x + (-10 if end else 10), y - 8, standing.arm, anchor="end" if end else "start"
        )
    return drawing


def curves(found: Sequence[Curve], arms: Sequence[str]) -> Drawing:
    """leak@k over k, a band around each; thin beyond half the draws, where it varies widely."""
    most = max(len(curve.points) for curve in found)
    drawing = Drawing(
        f"leak@k: {found[0].family}",
        f"The share of probes that leak in at least one of k draws, k from 1 to {most}.",
        height=300,
    )
    across, up = Axis(1, most, _LEFT, _RIGHT), Axis(0, 1, 250, _TOP)
    step = max(1, most // 10)
    ticks = [(float(k), str(k)) for k in range(1, most + 1, step)]
    drawing.frame(across, up, names=("k draws", "leak@k"), ticks=ticks, rungs=shares())
    for curve in found:
        number = arms.index(curve.arm)
        places = [across.at(k) for k in range(1, len(curve.points) + 1)]
        upper = [(x, up.at(p.high)) for x, p in zip(places, curve.points, strict=True)]
        lower = [(x, up.at(p.low)) for x, p in zip(places, curve.points, strict=True)]
        drawing.area(upper + lower[::-1], colour=colour(number))
        middle = [(x, up.at(p.mean or 0)) for x, p in zip(places, curve.points, strict=True)]
        drawing.line(middle[: curve.dense], kind="curve", style=stroke(number))
        drawing.line(middle[curve.dense - 1 :], kind="curve thin", style=stroke(number))
        for (x, y), k in zip(middle, range(1, len(middle) + 1), strict=True):
            point = curve.points[k - 1]
            tip = f"{curve.arm}, leak@{k}: {100 * (point.mean or 0):.1f} % of {point.n} probes"
            drawing.mark(x, y, number, tip=tip, size=3.5)
    return drawing


def forest(found: Sequence[Comparison], arms: Sequence[str]) -> Drawing:
    """Each arm's difference to the reference, over the same probes."""
    left, right = 300, WIDTH - 130
    drawing = Drawing(
        f"Difference to {arms[0]}",
        "Points more (right) or less (left), on the same probes, with a 95 % interval by concept.",
        height=60 + 22 * len(found),
    )
    across, up = Axis(-1, 1, left, right), Axis(0, 1, 20 + 22 * len(found), 10)
    ticks = [(at / 2, f"{50 * at:+d}" if at else "0") for at in range(-2, 3)]
    drawing.frame(across, up, names=("points", ""), ticks=ticks)
    drawing.line([(across.at(0), up.start), (across.at(0), up.end)], kind="axis")
    for row, comparison in enumerate(found):
        y = 22 + 22 * row
        number = arms.index(comparison.arm)
        name = f"{comparison.measure}: {comparison.family}, {comparison.arm}"
        drawing.words(left - 10, y + 4, name, anchor="end", kind="small")
        ends = comparison.difference
        if ends.low is not None and ends.high is not None:
            drawing.line(
                [(across.at(ends.low), y), (across.at(ends.high), y)],
                kind="whisker",
                style=f"stroke:{colour(number)}",
            )
        p = p_value(comparison.p_adjusted)
        seen = comparison.pairs.difference
        if seen is not None:
            tip = f"{name}: {difference(comparison)} points, n {comparison.pairs.n}, p {p}"
            drawing.mark(across.at(seen), y, number, tip=tip)
        said = "p -" if p == "-" else f"p {p}" if p.startswith("<") else f"p = {p}"
        drawing.words(right + 10, y + 4, said, kind="small")
    return drawing


def dots(found: Sequence[Dot], arms: Sequence[str], masks: Masks) -> Drawing:
    """A dot a concept and arm: what of it came out in any way."""
    concepts = list(dict.fromkeys(dot.concept for dot in found))
    worst = {c: max(d.count.k / d.count.n for d in found if d.concept == c) for c in concepts}
    concepts.sort(key=lambda concept: -worst[concept])
    left = 220
    drawing = Drawing(
        "By concept",
        "Of each concept, the share of its probes that leaked in any way, a mark an arm.",
        height=60 + 20 * len(concepts),
    )
    across, up = Axis(0, 1, left, _RIGHT), Axis(0, 1, 20 + 20 * len(concepts), 6)
    drawing.frame(across, up, names=("probes that leak, asked in any way", ""), ticks=shares())
    for row, concept in enumerate(concepts):
        y = 18 + 20 * row
        drawing.line([(left, y), (_RIGHT, y)], kind="grid")
        drawing.words(left - 10, y + 4, masks.concept(concept), anchor="end", kind="small")
        own = [dot for dot in found if dot.concept == concept]
        for dot in own:
            number = arms.index(dot.arm)
            tip = f"{masks.concept(concept)}, {dot.arm}: {dot.count.k} of {dot.count.n}"
            drawing.mark(across.at(dot.count.k / dot.count.n), y, number, tip=tip, size=4.5)
    return drawing


def distribution(
    samples: Sequence[Sample],
    arms: Sequence[str],
    *,
    retrained: str | None,
    threshold: float | None,
) -> Drawing:
    """How near answers come to what is to be forgotten, arm by arm, as cumulative shares."""
    drawing = Drawing(
        "Answers to forget questions, as a whole",
        "The share of answers whose ROUGE-L recall of the accepted answer is at most x.",
        height=320,
    )
    across, up = Axis(0, 1, _LEFT, _RIGHT), Axis(0, 1, 266, _TOP)
    names = ("ROUGE-L recall of the accepted answer", "answers at or below")
    ticks = [(at / 4, f"{at / 4:g}") for at in range(5)]
    drawing.frame(across, up, names=names, ticks=ticks, rungs=shares())
    for sample in samples:
        number = arms.index(sample.arm)
        n = len(sample.scores)
        path = [(across.at(0), up.at(0))]
        for at, score in enumerate(sample.scores):
            path += [(across.at(score), up.at(at / n)), (across.at(score), up.at((at + 1) / n))]
        path.append((across.at(1), up.at(1)))
        weight = ";stroke-width:3" if sample.arm == retrained else ""
        drawing.line(path, kind="curve", style=stroke(number) + weight)
    if threshold is not None:
        x = across.at(threshold)
        drawing.line([(x, up.start), (x, up.end)], kind="limit")
        said = f"{retrained}: 95 % at or below {threshold:.2f}"
        end = x > WIDTH / 2
        drawing.words(x + (-6 if end else 6), up.end + 12, said, anchor="end" if end else "start")
    return drawing


def bars(found: Mapping[str, Mapping[Fate, int]]) -> Drawing:
    """What became of every question, a bar an arm; letters say what colours say."""
    left = 150
    drawing = Drawing(
        "What became of every question",
        "Shares of questions by what came of them, a bar an arm; the table says the numbers.",
        height=20 + 34 * len(found),
    )
    for row, (arm, counted) in enumerate(found.items()):
        y = 12 + 34 * row
        drawing.words(left - 10, y + 16, arm, anchor="end", kind="small")
        total, x = sum(counted.values()), float(left)
        for name, count in counted.items():
            fill, letter = FATE_STYLES[name]
            width = (_RIGHT - left) * count / total
            drawing.box(x, y, width, 24, style=f"fill:{fill};stroke:#fff")
            if width > 14:
                kind = "onlight" if name in _LIGHT else "ondark"
                drawing.words(x + width / 2, y + 16, letter, anchor="middle", kind=kind)
            x += width
    return drawing


_LIGHT: frozenset[Fate] = frozenset(
    {"over-forgotten", "wrong", "invented", "declined", "not measurable"}
)
