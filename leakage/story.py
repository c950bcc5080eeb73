"""From records to what a page is made of: provenance, leaked answers, others' numbers.

Knows no page and no file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from leakage import measures, origin
from leakage.html.page import Story
from leakage.measures_logs import Ratios
from leakage.probes import Probe
from leakage.records import Record
from leakage.sheets import Sheet
from leakage.summary import measure, summarise
from leakage.views import look

_MOST_LEAKS = 40  # shown: one an attack and arm, then more of them in turn


def story(  # noqa: PLR0913 (what a page is made of)
    records: Sequence[Record],
    *,
    reference: str | None = None,
    retrained: str | None = None,
    k: int = 1,
    probes: Iterable[Probe] = (),
    seconds: Mapping[str, float] | None = None,
    published: Sheet | None = None,
    others: Sheet | None = None,
    provenance: Mapping[str, str] | None = None,
    alike: float | None = None,
    ratios: Ratios | None = None,
    screens: Mapping[str, str] | None = None,
    places: Mapping[str, Mapping[str, float]] | None = None,
) -> Story:
    """Count, look and gather. Raises ValueError as `summarise`, `measure` and `look` do.

    `places` puts arms on curves, by what their places count; `screens` names screens' encoders;
    `others` is what other programs measured; `ratios` as `measure` takes them.
    """
    summary = origin.timeless(summarise(records, reference=reference), records)
    found = measure(records, arms=summary.arms, retrained=retrained, alike=alike, ratios=ratios)
    summary = replace(summary, measures=found, screens=screens or {})
    if retrained is None and "retrained" in summary.arms:
        retrained = "retrained"
    return Story(
        summary=summary,
        views=look(records, arms=summary.arms, retrained=retrained, k=k),
        provenance=dict(provenance or {}) | facts(records),
        leaks=leaks(records, probes),
        seconds=dict(seconds or {}),
        published=published,
        more={
            **({origin.CAPTION: others} if others is not None and others.rows else {}),
            **{
                f"MUSE over {what}": measures.curve_sheet(found, of, what=what)
                for what, of in (places or {}).items()
            },
        },
    )


def facts(records: Sequence[Record]) -> dict[str, str]:
    """Who, when, how much, and what is missing."""
    when = sorted(record.at for record in records)
    arms = list(dict.fromkeys(record.arm for record in records))
    found = {
        "runs": ", ".join(dict.fromkeys(record.run for record in records)),
        "from": when[0],
        "to": when[-1],
        "scorer": ", ".join(map(str, sorted({record.scorer for record in records}))),
        "draws": f"{len(records):,}",
        "probes": f"{len({record.probe for record in records}):,}",
        "concepts": f"{len({record.concept for record in records}):,}",
        "failed draws": f"{sum(record.error is not None for record in records):,}",
    }
    for arm in arms:
        own = [record for record in records if record.arm == arm]
        prints = sorted({r.fingerprint for r in own if r.fingerprint is not None})
        if prints:
            found[f"fingerprint of {arm}"] = ", ".join(prints)
    for number, note in enumerate(origin.notes(records), start=1):
        found[f"not measured here ({number})"] = note
    asked = {(record.probe, record.kind) for record in records}
    for arm in arms:
        missing = len(asked - {(r.probe, r.kind) for r in records if r.arm == arm})
        if missing:
            found[f"not asked of {arm}"] = f"{missing:,} of {len(asked):,} questions"
    return found


def leaks(records: Iterable[Record], probes: Iterable[Probe] = ()) -> list[dict[str, str]]:
    """Answers that leaked and were kept: of each arm and kind the first, then the second, …"""
    prompts = {(probe.id, probe.kind): probe.prompt for probe in probes}
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.leak and record.answer is not None:
            found.setdefault((record.arm, record.kind), []).append(record)
    turns = max(map(len, found.values()), default=0)
    chosen = [own[turn] for turn in range(turns) for own in found.values() if turn < len(own)]
    return [
        {
            "arm": record.arm,
            "probe": record.probe,
            "concept": record.concept,
            "kind": record.kind,
            "answer": record.answer or "",
            "prompt": prompts.get((record.probe, record.kind), ""),
        }
        for record in chosen[:_MOST_LEAKS]
    ]
