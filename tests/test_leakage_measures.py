"""Measures beside leaks: TOFU's on hand-made cases and published logs, MUSE's, likeness, AUCs."""

import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from leakage import measures, records, report
from leakage.html.page import render
from leakage.measures import Finding, Value, curve_sheet, mean
from leakage.measures_text import told_apart
from leakage.records import Likelihood, Record, Role
from leakage.story import story
from leakage.summary import measure, summarise
from tests.leakage_record import RECORD

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tofu"
LOG = math.log


def likely(
    arm: str,
    probe: str,
    *,
    right: float,
    wrong: Sequence[float],
    split: str = "forget",
    **more: Any,
) -> Record:
    """How likely an arm finds a true answer and its paraphrase a token, and each false one."""
    roles: list[tuple[Role, float]] = [("answer", right), ("paraphrase", right)]
    roles += [("wrong", each) for each in wrong]
    found = tuple(Likelihood(role, (LOG(p), LOG(p)), (1, 1)) for role, p in roles)
    fields: dict[str, Any] = {"kind": "likelihood", "leak": None, "answered": None}
    fields |= {"arm": arm, "probe": probe, "concept": probe, "split": split, "likelihoods": found}
    return replace(RECORD, **{**fields, **more})


def plain(arm: str, probe: str, *, split: str = "world", **more: Any) -> Record:
    leak = None if split != "forget" else False
    fields: dict[str, Any] = {"arm": arm, "probe": probe, "concept": probe, "split": split}
    fields |= {"recall": 0.5, "f1": 0.4, "leak": leak, "blocked": None}
    return replace(RECORD, **{**fields, **more})


def found(made: Sequence[Record], name: str, arm: str, retrained: str | None = None) -> Finding:
    arms = list(dict.fromkeys(record.arm for record in made))
    (one,) = [
        each
        for each in measure(made, arms=arms, retrained=retrained)
        if each.name == name and each.arm == arm
    ]
    return one


def test_tofus_measures_of_a_forget_set_are_means_over_its_questions() -> None:
    made = [
        likely("a", "1", right=0.5, wrong=[0.1, 0.4]),  # truth ratio sqrt(.04) / .5 = .4
        likely("a", "2", right=0.2, wrong=[0.5, 0.5]),  # 2.5, whose nearness is .4
    ]
    assert found(made, "probability", "a").value == pytest.approx(0.35)
    assert found(made, "truth ratio", "a").value == pytest.approx(0.4)
    assert found(made, "min-40 % probability", "a").value == pytest.approx(0.35)
    assert found(made, "extraction strength", "a").value == 1.0
    assert found(made, "exact memorisation", "a").value == 1.0
    assert found(made, "min-40 %++", "a").lacks == "the likeliest tokens of 99% of the probability"


def test_min_k_plus_plus_stands_where_the_arm_tells_enough() -> None:
    text = Likelihood("answer", (-1.0, -2.0), (1, 2), (0.5, -1.5))
    made = [likely("a", str(n), right=0.5, wrong=[], likelihoods=(text,)) for n in range(3)]
    one = found(made, "min-40 %++", "a")
    assert (one.value, one.low, one.high, one.n) == (-1.5, -1.5, -1.5, 3)


def test_model_utility_is_the_harmonic_mean_of_tofus_nine() -> None:
    # retain: probability .5, recall .5, truth 1 - .25/.5 = .5.
    made = [
        likely("a", "r", right=0.5, wrong=[0.25], split="retain"),
        plain("a", "r", split="retain"),
    ]
    # The others: .5 / (.5 + .25) of the true and the false answer, recall .5, truth .5.
    for split in ("neighbour", "world"):
        made += [
            likely("a", split, right=0.5, wrong=[0.25], split=split),
            plain("a", split, split=split),
        ]
    one = found(made, "model utility", "a")
    assert one.value == pytest.approx(9 / (7 / 0.5 + 2 * 1.5))
    assert one.n == 3
    without = found([r for r in made if r.split != "world"], "model utility", "a")
    assert (without.value, without.lacks) == (None, "world facts (split world) with false answers")


def test_forget_quality_of_a_model_against_itself_is_one() -> None:
    made = [likely("retrained", str(n), right=0.5, wrong=[0.01 * n + 0.01]) for n in range(40)]
    made += [replace(record, arm="a") for record in made]
    for arm in ("a", "retrained"):
        one = found(made, "forget quality", arm)
        assert (one.value, one.n) == (1.0, 40)
        assert "D 0.000" in one.note
        # Forty questions do not show that two models are alike.
        assert "not shown to be equivalent within 0.2" in one.note


def test_forget_quality_says_what_is_missing() -> None:
    made = [likely("a", "1", right=0.5, wrong=[0.1])]
    assert found(made, "forget quality", "a").lacks == "a retrained arm"
    bare = [likely("a", "1", right=0.5, wrong=[])]
    assert found(bare, "forget quality", "a").lacks == "probes with false answers"
    closed = [likely("a", "1", right=0.5, wrong=[], likelihoods=None, lacks="prompt_logprobs")]
    for name in ("probability", "forget quality", "extraction strength", "min-40 %++"):
        assert str(found(closed, name, "a")) == "not measurable: prompt_logprobs"


@pytest.mark.parametrize("forget", ["forget01", "forget05", "forget10"])
def test_the_published_retrained_models_pass_for_themselves(forget: str) -> None:
    path = SHARED / f"retain_reference_{forget}_llama2-7b.json"
    if not path.is_file():
        pytest.skip("the logs of TOFU's retrained models are not beside the project")
    ratios = json.loads(path.read_text("utf-8"))["forget_truth_ratio"]
    # A text a token likelier by the ratio has that truth ratio.
    scale = 2 * max(ratios)
    made = [
        likely(arm, str(n), right=1 / scale, wrong=[ratio / scale], concept=str(n // 20))
        for arm in ("again", "retrained")
        for n, ratio in enumerate(ratios)
    ]
    one = found(made, "forget quality", "again")
    assert (one.value, one.n) == (1.0, len(ratios))
    nearness = sum(min(ratio, 1 / ratio) for ratio in ratios) / len(ratios)
    assert found(made, "truth ratio", "again").value == pytest.approx(nearness, abs=1e-6)
    # A model whose true answers became likelier is told from it.
    known = [
        likely("again", str(n), right=1 / scale, wrong=[ratio / 3 / scale], concept=str(n // 20))
        for n, ratio in enumerate(ratios)
    ]
    other = found([*known, *(r for r in made if r.arm == "retrained")], "forget quality", "again")
    assert other.value is not None
    assert other.value < 1e-6
    assert f"n {len(ratios)} + {len(ratios)}; not shown to be equivalent" in other.note


def test_privacy_leakage_compares_membership_with_the_retrained_arms() -> None:
    def text(arm: str, n: int, split: str, logprob: float) -> Record:
        likelihoods = (Likelihood("answer", (logprob, logprob), (1, 1)),)
        return likely(
            arm, f"{split}{n}", right=0.5, wrong=[], split=split, kind="membership",
            likelihoods=likelihoods,
        )  # fmt: skip

    made = [text("a", n, "forget", -1.0 - 0.01 * n) for n in range(6)]
    made += [text("a", n, "holdout", -2.0 - 0.01 * n) for n in range(6)]
    for n in range(6):
        made += [
            text("retrained", n, "forget", -1.0 * n),
            text("retrained", n, "holdout", -1.0 * n),
        ]
    assert found(made, "membership by min-40 %", "a").value == 1.0
    assert found(made, "membership by min-40 %", "retrained").value == 0.5
    assert found(made, "PrivLeak", "a").value == -100.0
    assert found(made, "PrivLeak", "retrained").value == 0.0
    alone = [record for record in made if record.arm == "a"]
    assert found(alone, "PrivLeak", "a").lacks == "a retrained arm"
    members = [record for record in alone if record.split == "forget"]
    assert found(members, "PrivLeak", "a").lacks == "texts to forget and texts never seen"


def test_muses_memorisation_is_a_mean_f1_by_kind_and_split() -> None:
    made = [
        plain("a", "v", split="forget", kind="verbatim", f1=0.9),
        plain("a", "f", split="forget", f1=0.3),
        plain("a", "r", split="retain", f1=0.8),
        plain("a", "s", split="retain", f1=0.6),
    ]
    assert found(made, "VerbMem on forget", "a").value == pytest.approx(0.9)
    assert found(made, "KnowMem on forget", "a").value == pytest.approx(0.3)
    assert found(made, "KnowMem on retain", "a").value == pytest.approx(0.7)
    assert found(made[1:], "VerbMem on forget", "a").lacks == "verbatim texts"


def test_scalability_and_sustainability_are_curves_over_arms() -> None:
    made = [plain(arm, "f", split="forget", f1=0.1) for arm in ("small", "large")]
    made += [
        plain("small", "r", split="retain", f1=0.8),
        plain("large", "r", split="retain", f1=0.4),
    ]
    given = measure(made, arms=["small", "large"])
    sheet = curve_sheet(given, {"large": 4, "small": 1}, what="forgotten")
    assert sheet.titles == ("arm", "forgotten", "KnowMem on forget", "KnowMem on retain")
    assert [row[0] for row in sheet.rows] == ["small", "large", "kept at the last, of the first"]
    assert sheet.rows[-1][-1] == "0.500"
    with pytest.raises(ValueError, match="no arm is named 'huge'"):
        curve_sheet(given, {"huge": 4}, what="forgotten")


def test_similarity_says_how_many_answers_say_the_same_and_corrects_for_its_errors() -> None:
    made = [
        plain("a", str(n), split="forget", similarity=0.95 if n < 10 else 0.2,
              encoder="all-MiniLM-L6-v2")
        for n in range(40)
    ]  # fmt: skip
    assert found(made, "similarity (all-MiniLM-L6-v2)", "a").value == pytest.approx(0.3875)
    alike = found(made, "similarity of 0.84 or more", "a")
    assert alike.value == 0.25
    assert "corrected for the threshold's errors on sentences" in alike.note
    given = measure(made, arms=["a"], alike=0.1)
    (other,) = [each for each in given if each.name == "similarity of 0.1 or more"]
    assert (other.value, other.note) == (1.0, "its errors were not measured")
    # Of another encoder nobody has measured a threshold.
    unknown = measure([replace(r, encoder="other") for r in made], arms=["a"])
    assert [m.name for m in unknown if "simil" in m.name] == ["similarity (other)"]


def test_an_arm_that_answers_as_the_retrained_one_cannot_be_told_from_it() -> None:
    def answers(arm: str, *, refuses: bool, text: str) -> list[Record]:
        return [
            plain(arm, f"{n}", split="forget", concept=f"c{n % 5}", refused=refuses,
                  score=0.1 * (n % 3), length=20 + n, latency_s=0.1 + 0.01 * (n % 7),
                  answer=f"{text} {n % 4}")
            for n in range(30)
        ]  # fmt: skip

    never = answers("retrained", refuses=False, text="Perhaps in town")
    same = answers("same", refuses=False, text="Perhaps in town")
    refuses = answers("other", refuses=True, text="I cannot say")
    made = [*never, *same, *refuses]
    assert found(made, "told from retrained", "same").value == pytest.approx(0.5)
    one = found(made, "told from retrained", "other")
    assert one.value == 1.0
    assert one.low is not None
    assert one.low > 0.8
    assert "words, length, refusals and latency" in one.note
    few = found([*never[:5], *same[:5]], "told from retrained", "same")
    assert few.lacks == "10 questions about two concepts that both were asked"
    # Words alone tell them apart, where both are kept.
    pairs = [(replace(b, refused=False), a) for a, b in zip(never, refuses, strict=True)]
    assert told_apart(pairs).auc > 0.95
    unkept = [(replace(a, answer=None), replace(b, answer=None)) for a, b in pairs]
    assert 0.3 < told_apart(unkept).auc < 0.7


def test_extraction_strength_by_text_is_a_mean_over_probes() -> None:
    made = [
        replace(
            RECORD,
            arm="a",
            kind="extraction",
            probe=str(n),
            leak=None,
            answered=None,
            extraction=n / 4,
        )
        for n in range(5)
    ]
    assert found(made, "extraction strength by text", "a").value == 0.5
    # It is no answer to a question: no leak and no block is counted of it.
    assert summarise(made).cells == ()


def test_what_is_measured_stands_in_table_markdown_json_and_page() -> None:
    made = [likely("a", "1", right=0.5, wrong=[0.1]), plain("b", "1", split="forget")]
    made += [plain("a", "1", split="forget", similarity=0.9, encoder="E")]
    made += [likely("b", "1", right=0.5, wrong=[], likelihoods=None, lacks="prompt_logprobs")]
    given = measure(made, arms=["a", "b"])
    whole = replace(summarise(made), measures=given, screens={"b": "E"})
    console = Console(file=io.StringIO(), width=200)
    report.render(whole, console=console)
    assert isinstance(console.file, io.StringIO)
    page = render(story(made, screens={"b": "E"}, places={"forgotten": {"a": 1, "b": 2}}))
    for text in (console.file.getvalue(), report.to_markdown(whole), page):
        assert "truth ratio" in text
        assert "not measurable: prompt_logprobs" in " ".join(text.split())
        assert "by the encoder E. Encoders of the screens: b: E." in " ".join(text.split())
        assert "A screen with the same encoder errs where this measure errs." in text
    assert "MUSE over forgotten" in page
    rows = json.loads(json.dumps(report.to_json(whole)))["measures"]
    assert {(row["name"], row["arm"]) for row in rows} >= {
        ("truth ratio", "a"),
        ("truth ratio", "b"),
    }
    (closed,) = [row for row in rows if (row["name"], row["arm"]) == ("probability", "b")]
    assert (closed["value"], closed["lacks"]) == (None, "prompt_logprobs")


def test_a_value_is_never_shown_without_its_number_nor_as_nought_where_it_is_not() -> None:
    one = mean("m", "a", [Value("c", 0.5), Value("d", 0.7)])
    assert str(one).startswith("0.600 [")
    assert str(one).endswith(", n 2")
    assert measures.number(0.00004) == "4.0e-05"
    assert measures.number(0.0) == "0.000"
    assert str(mean("m", "a", [], lacks="probes")) == "not measurable: probes"


def test_records_keep_what_measures_need(tmp_path: Path) -> None:
    text = Likelihood("answer", (-1.0,), (1,), (0.5,))
    made = [
        likely("a", "1", right=0.5, wrong=[], likelihoods=(text,)),
        plain("a", "2", similarity=0.25, encoder="E"),
        replace(RECORD, kind="extraction", extraction=0.5),
        likely("a", "3", right=0.5, wrong=[], split="holdout", kind="membership"),
    ]
    records.write(tmp_path / "r.jsonl", made)
    assert records.read(tmp_path / "r.jsonl") == made
