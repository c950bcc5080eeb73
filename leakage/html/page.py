"""One page of everything: sections in their order, one file, no script, no address elsewhere.

Knows no record: it takes the summary, the views and what else is known, and hides names of what is
to be forgotten unless told to show them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from leakage import contrasts, measures, published, report
from leakage.html import charts, tables
from leakage.html.drawing import Drawing, key
from leakage.html.masks import Masks
from leakage.html.style import STYLE
from leakage.plain import written
from leakage.sheets import Sheet, interval, share
from leakage.summary import Summary
from leakage.views import FATES, Cost, Views

_MANY_CONCEPTS = 60  # beyond, a page of dots says less than the table


@dataclass(frozen=True, slots=True)
class Story:
    """What a page is made of.

    leaks        answers that leaked, with probe, concept, kind, arm and perhaps the prompt
    provenance   names and values, as they stand on the page
    seconds      that making an arm took, where known
    published    a table of others' numbers; never mixed with ours
    more         further tables, by their caption
    """

    summary: Summary
    views: Views
    provenance: Mapping[str, str] = field(default_factory=dict)
    leaks: Sequence[Mapping[str, str]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    published: Sheet | None = None
    more: Mapping[str, Sheet] = field(default_factory=dict)


def render(story: Story, *, show_forbidden: bool = False) -> str:
    """The whole file. Concepts, probes and answers are named only with `show_forbidden`."""
    masks = Masks(shown=show_forbidden)
    found = [(name, body) for name, body in _sections(story, masks) if body]
    # An arm may be called as a section is: each has a place of its own.
    places = _places([name for name, _ in found])
    links = "".join(
        f'<li><a href="#{place}">{written(name)}</a></li>'
        for place, (name, _) in zip(places, found, strict=True)
    )
    sections = "".join(
        f'<section id="{place}"><h2>{written(name)}</h2>{body}</section>'
        for place, (name, body) in zip(places, found, strict=True)
    )
    title = f"Leakage of {', '.join(story.summary.arms[:4])}"
    title += f" and {len(story.summary.arms) - 4} more" if len(story.summary.arms) > 4 else ""
    hidden = "" if show_forbidden else _HIDDEN
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'\">"
        f"<title>{written(title)}</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#main">To the results</a>'
        f"<header><h1>{written(title)}</h1>{hidden}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f'<main id="main" tabindex="-1">{sections}</main></body></html>\n'
    )


_HIDDEN = (
    '<p class="note">Concepts and probes are numbered and answers are hidden: they can hold what '
    "has to be forgotten.</p>"
)
_WARNING = (
    "What is measured here is text. A guardrail changes no weights: everything that it hides is "
    "still in the model behind it."
)


def _sections(story: Story, masks: Masks) -> Iterator[tuple[str, str]]:
    summary, views, arms = story.summary, story.views, story.summary.arms
    legend = key(arms)
    yield (
        "Overview",
        f'<p class="note">{_WARNING}</p>'
        + tables.table(report.overview(summary), caption="k of n probes, share and 95 % interval"),
    )
    yield "Attacks", tables.heat(views.spots, arms, k=views.k) if views.spots else ""
    yield "Forgetting against keeping", _pareto(views, arms, legend)
    drawn = [curve for curve in views.curves if len(curve.points) > 1]
    names = list(dict.fromkeys(curve.family for curve in drawn))
    figures = [
        _figure(charts.curves([c for c in drawn if c.family == name], arms)) for name in names
    ]
    yield "Over several draws", legend + "".join(figures) + _curve_note() if figures else ""
    yield "By concept", _concepts(story, masks, legend)
    yield f"Against {arms[0]}", _compared(summary, legend)
    yield "Against a model that never knew", _never(views, arms, legend)
    yield "Beside leaks and blocks", _measures(summary)
    yield "What became of every question", _fates(views)
    yield "Costs", tables.table(_costs(story), caption="time and tokens")
    yield "Leaks", tables.gallery(story.leaks, masks) if story.leaks else ""
    for caption, sheet in story.more.items():
        yield caption, tables.table(sheet, caption=caption)
    if story.published is not None:
        yield (
            published.CAPTION,
            tables.table(
                story.published, caption="as published, on other models and other probes than ours"
            ),
        )
    yield "How to read this", "".join(f"<p>{written(note)}</p>" for note in report.notes(summary))
    yield "Provenance", tables.facts(story.provenance) if story.provenance else ""


def _figure(drawing: Drawing, *, sheet: Sheet | None = None) -> str:
    numbers = ""
    if sheet is not None:
        told = tables.table(sheet, caption=drawing.title)
        numbers = f"<details><summary>The numbers</summary>{told}</details>"
    return (
        f"<figure>{drawing.svg()}<figcaption><b>{written(drawing.title)}.</b> "
        f"{written(drawing.said)}</figcaption>{numbers}</figure>"
    )


def _pareto(views: Views, arms: Sequence[str], legend: str) -> str:
    if not views.standings:
        return ""
    rows = [
        [s.arm, share(s.leak), interval(s.leak), str(s.leak.n), share(s.kept), interval(s.kept)]
        for s in views.standings
    ]
    titles = ("arm", "leaks %", "95 %", "n", "kept %", "95 %")
    return legend + _figure(charts.pareto(views.standings, arms), sheet=Sheet(titles, rows))


def _curve_note() -> str:
    return '<p class="note">Thin beyond half the draws made, where the estimate varies widely.</p>'


def _concepts(story: Story, masks: Masks, legend: str) -> str:
    dots, arms = story.views.dots, story.summary.arms
    names = list(dict.fromkeys(dot.concept for dot in dots))
    if len(names) < 2:
        return ""
    by = {(dot.concept, dot.arm): dot.count for dot in dots}
    rows = [
        [
            masks.concept(name),
            *(f"{c.k} of {c.n}" if (c := by.get((name, arm))) else "-" for arm in arms),
        ]
        for name in names
    ]
    sheet = Sheet(("concept", *arms), rows)
    if len(names) > _MANY_CONCEPTS:
        return tables.table(sheet, caption="probes that leak, asked in any way")
    return legend + _figure(charts.dots(dots, arms, masks), sheet=sheet)


def _compared(summary: Summary, legend: str) -> str:
    if not summary.comparisons:
        return ""
    sheet = contrasts.comparisons(summary.comparisons, reference=summary.reference)
    drawing = charts.forest(summary.comparisons, summary.arms)
    return legend + _figure(drawing, sheet=sheet)


def _never(views: Views, arms: Sequence[str], legend: str) -> str:
    if not views.samples:
        return ""
    drawing = charts.distribution(
        views.samples, arms, retrained=views.retrained, threshold=views.threshold
    )
    if views.retrained is None:
        none = "No arm is said to be retrained without what is to be forgotten: nothing to compare."
        return legend + _figure(drawing) + f'<p class="note">{none}</p>'
    return legend + _figure(drawing, sheet=_gaps(views)) + _excesses(views)


def _gaps(views: Views) -> Sheet:
    rows = [
        [
            s.arm,
            f"{s.gap.d:.3f}",
            f"{s.gap.most:.3f}",
            str(s.gap.n),
            contrasts.p_value(s.gap.p),
            contrasts.p_value(s.gap.p_paired),
        ]
        for s in views.samples
        if s.gap is not None
    ]
    titles = ("arm", "D", "D at most", "n", "p, answers independent", "p, concepts swapped")
    return Sheet(titles, rows)


def _measures(summary: Summary) -> str:
    if not summary.measures:
        return ""
    return tables.table(
        measures.sheet(summary.measures), caption="by text and by log-probabilities, value [95 %]"
    )


def _excesses(views: Views) -> str:
    rows = [
        [
            arm,
            f"{100 * found.over:+.1f}",
            "-" if found.share is None else f"{100 * found.share:.1f}",
            contrasts.ends(found.range),
            str(found.n),
            str(found.clusters),
        ]
        for arm, found in views.excesses.items()
    ]
    titles = ("arm", "points over", "% of what there was", "95 % (Fieller)", "n", "concepts")
    return tables.table(Sheet(titles, rows), caption=f"leakage over {views.retrained}")


def _fates(views: Views) -> str:
    names = [name for name in FATES if any(name in counted for counted in views.fates.values())]
    rows = [
        [arm, *(str(counted.get(name, 0)) for name in names)]
        for arm, counted in views.fates.items()
    ]
    meanings = "".join(
        f'<li><span class="swatch" style="background:{charts.FATE_STYLES[name][0]}"></span> '
        f"{charts.FATE_STYLES[name][1]}: <b>{name}</b>, {written(FATES[name])}</li>"
        for name in names
    )
    figure = _figure(charts.bars(views.fates), sheet=Sheet(("arm", *names), rows))
    return f'<ul class="meanings">{meanings}</ul>{figure}'


def _costs(story: Story) -> Sheet:
    times = {timing.arm: timing for timing in story.summary.timings}
    rows = [
        [
            cost.arm,
            f"{story.seconds[cost.arm]:,.0f} s" if cost.arm in story.seconds else "-",
            report.seconds(times[cost.arm].median_s),
            report.seconds(times[cost.arm].p95_s),
            report.added(times[cost.arm]),
            _number(cost.tokens_in),
            _number(cost.tokens_out),
            _number(cost.requests),
            _break_even(story, cost),
        ]
        for cost in story.views.costs
    ]
    return Sheet(
        (
            *("arm", "to make", "p50", "p95", "added (median, 95 %)", "tokens in", "tokens out"),
            *("requests a draw", "break-even"),
        ),
        rows,
    )


def _break_even(story: Story, cost: Cost) -> str:
    """After how many requests the arm's added latency has cost what the cheapest other took."""
    added = next(t.added for t in story.summary.timings if t.arm == cost.arm)
    others = [s for arm, s in story.seconds.items() if arm != cost.arm and s > 0]
    own = story.seconds.get(cost.arm, 0.0)
    if added is None or added.median <= 0 or not others or min(others) <= own:
        return "-"
    return f"{(min(others) - own) / added.median:,.0f} requests"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _places(names: Sequence[str]) -> list[str]:
    slugs = [_slug(name) for name in names]
    return [f"{slug}-{at}" if slug in slugs[:at] else slug for at, slug in enumerate(slugs)]


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.casefold()).split())
