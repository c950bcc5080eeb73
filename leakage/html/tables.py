"""Tables of a page: plain ones, and one whose cells are coloured by size. Knows no record."""

from collections.abc import Mapping, Sequence

from leakage.html.masks import Masks
from leakage.plain import written
from leakage.sheets import Sheet
from leakage.views import Spot

# Light to dark of one hue: reads in grey and to every eye. White text from the fifth on.
_STEPS = ("#ffffff", "#e3eef8", "#c3dbee", "#94c1de", "#4f94c4", "#2470ab", "#0b4f8a", "#08306b")
_WHITE_FROM = 5
_LONGEST_ANSWER = 4_000  # characters


def table(sheet: Sheet, *, caption: str) -> str:
    """A table that scrolls by itself where it is wide, by keyboard too."""
    head = "".join(f'<th scope="col">{written(title)}</th>' for title in sheet.titles)
    body = "".join(_row(row) for row in sheet.rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{written(caption)}">'
        f"<table><caption>{written(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def heat(spots: Sequence[Spot], arms: Sequence[str], *, k: int) -> str:
    """Arms across, attacks down; every cell says its number and half its interval."""
    by = {(spot.kind, spot.arm): spot for spot in spots}
    kinds = list(dict.fromkeys(spot.kind for spot in spots))
    head = "".join(f'<th scope="col">{written(arm)}</th>' for arm in arms)
    rows = "".join(
        f'<tr><th scope="row">{written(kind.removeprefix("attack:"))}</th>'
        + "".join(_spot(by[kind, arm]) for arm in arms)
        + "</tr>"
        for kind in kinds
    )
    caption = (
        f"leak@{k} in per cent, and half the width of its 95 % interval by concept; plain "
        "questions first, then attacks"
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="leak@{k} by attack and arm">'
        f'<table class="heat"><caption>{written(caption)}</caption>'
        f'<thead><tr><th scope="col">asked</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def facts(found: Mapping[str, str]) -> str:
    """Names and what they are."""
    rows = "".join(f"<dt>{written(k)}</dt><dd>{written(v)}</dd>" for k, v in found.items())
    return f"<dl>{rows}</dl>"


def gallery(shown: Sequence[Mapping[str, str]], masks: Masks) -> str:
    """Answers that leaked, each as a figure; hidden unless they may be shown."""
    items = []
    for example in shown:
        where = written(
            f"{masks.probe(example['probe'])} ({masks.concept(example['concept'])}), "
            f"{example['kind']}, {example['arm']}"
        )
        asked = example.get("prompt", "")
        question = f"<p><b>asked</b> {_said(masks.text(asked))}</p>" if asked else ""
        items.append(
            f"<figure><figcaption>{where}</figcaption>{question}"
            f"<blockquote>{_said(masks.text(example['answer']))}</blockquote></figure>"
        )
    return "".join(items)


def _said(text: str) -> str:
    return written(text, lines=True, most=_LONGEST_ANSWER)


def _row(row: Sequence[str]) -> str:
    first, *rest = row
    cells = "".join(f"<td>{written(text)}</td>" for text in rest)
    return f'<tr><th scope="row">{written(first)}</th>{cells}</tr>'


def _spot(spot: Spot) -> str:
    if spot.leak is None or spot.leak.mean is None:
        said = f"not measurable: {spot.lacks}" if spot.lacks else "not asked"
        return f'<td class="none">{written(said)}</td>'
    mean = spot.leak.mean
    step = min(len(_STEPS) - 1, round(mean * (len(_STEPS) - 1) + 0.49)) if mean else 0
    dark = ' class="dark"' if step >= _WHITE_FROM else ""
    half = (spot.leak.high - spot.leak.low) / 2
    tip = f"{100 * spot.leak.low:.1f} to {100 * spot.leak.high:.1f} %, n {spot.leak.n}"
    return (
        f'<td{dark} style="background:{_STEPS[step]}" title="{written(tip)}">'
        f"{100 * mean:.1f} <small>\u00b1 {100 * half:.1f}</small></td>"
    )
