"""Comparisons as tables: an arm against the reference, a run against an earlier one.

Knows no record.
"""

from collections.abc import Sequence

from leakage.diff import Difference
from leakage.paired import Range
from leakage.sheets import Sheet, interval, share
from leakage.summary import Comparison


def changes(found: Difference) -> Sheet:
    """A row an arm and family: before, after, the difference and whether concepts say it is one."""
    rows = [
        [
            f"{contrast.comparison.measure}: {contrast.comparison.family}",
            contrast.arm,
            f"{share(contrast.before.rate)} [{interval(contrast.before.rate)}]",
            f"{share(contrast.after.rate)} [{interval(contrast.after.rate)}]",
            str(contrast.comparison.pairs.n),
            difference(contrast.comparison),
            p_value(contrast.comparison.p_adjusted),
        ]
        for contrast in found.contrasts
    ]
    titles = ("% of probes", "arm", "before", "after", "pairs", "difference", "p (Holm)")
    return Sheet(titles, rows)


def remarks(found: Difference) -> list[str]:
    """What must be known to read `changes`: what moved, and what could not be compared."""
    said = [
        f"{arm}: {sum(m.worse for m in found.moved if m.arm == arm)} questions came out worse, "
        f"{sum(not m.worse for m in found.moved if m.arm == arm)} better."
        for arm in dict.fromkeys(contrast.arm for contrast in found.contrasts)
    ]
    said += [
        f"{arm}: {count} questions were asked in one run only and do not count in the difference."
        for arm, count in found.unpaired.items()
        if count
    ]
    for arms, where in ((found.only_before, "first"), (found.only_after, "second")):
        if arms:
            said.append(f"Only in the {where} run: {', '.join(arms)}.")
    if any(contrast.comparison.p_concepts is None for contrast in found.contrasts):
        said.append("No p-value below six concepts: no swap of so few could be told from chance.")
    if len(found.scorers) > 1:
        versions = ", ".join(map(str, found.scorers))
        said.append(f"Scored by different versions of the matching ({versions}): not comparable.")
    return said


def difference(comparison: Comparison) -> str:
    """In points, with what the swapping of concepts does not reject."""
    seen = comparison.pairs.difference
    if seen is None:
        return "-"
    return f"{100 * seen:+.1f} [{ends(comparison.difference)}]"


def ends(found: Range) -> str:
    """Of a range in points; a dash where the data set none."""
    if found.low is None or found.high is None:
        return "-"
    return f"{100 * found.low:+.1f}, {100 * found.high:+.1f}"


def p_value(p: float | None) -> str:
    """Never said to be nought."""
    if p is None:
        return "-"
    return "< .001" if p < 0.001 else f"{p:.3f}"


def comparisons(found: Sequence[Comparison], *, reference: str) -> Sheet:
    """A row a comparison with the reference."""
    rows = [
        [
            f"{comparison.measure}: {comparison.family}",
            comparison.arm,
            str(comparison.pairs.n),
            difference(comparison),
            str(comparison.concepts),
            p_value(comparison.pairs.p),
            p_value(comparison.p_adjusted),
        ]
        for comparison in found
    ]
    titles = ("probes", "arm", "pairs", f"points over {reference}", "concepts", "McNemar", "Holm")
    return Sheet(titles, rows)
