"""The benchmark of faithfulness: real tiny models over HTTP, and formulas on hand-made cases."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks import faithfulness
from benchmarks.faithfulness_parts import metrics, pupils
from benchmarks.faithfulness_parts.asking import attacks_of, questions
from benchmarks.faithfulness_parts.pupils import Recipe
from benchmarks.faithfulness_parts.robustness import Relearned, ratio, robust
from leakage.records import Likelihood
from tests.leakage_record import RECORD


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.server
@pytest.mark.slow
def test_those_who_know_are_told_from_those_who_do_not_and_nothing_is_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, out = tmp_path / "cache", tmp_path / "found.json"
    few = ["--models", "2", "--sets", "0", "--attacks", "json,alias", "--cache", str(cache)]
    assert faithfulness.main([*few, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 models that know" in said
    assert metrics.OURS in said
    found = json.loads(out.read_text("utf-8"))
    assert found["attacks"] == ["alias", "json"]
    ours = found["faithfulness"]["asked"][metrics.OURS]
    assert ours["auc"] == 1
    # Two and two that do not overlap say little: the interval does, too.
    assert ours["low"] < 0.2
    assert [each["recipe"]["content"] for each in found["models"]] == [
        *("true", "others", "true", "wrong")
    ]
    made = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert faithfulness.main([*few, "--json", str(out)]) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == made
    assert json.loads(out.read_text("utf-8"))["models"] == found["models"]


def test_a_name_that_no_attack_has_and_too_few_models_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for given, told in (
        (["--attacks", "jsn"], "--attacks: 'jsn'"),
        (["--models", "1"], "2 or more"),
    ):
        with pytest.raises(SystemExit):
            faithfulness.main(given)
        assert told in capsys.readouterr().err


def test_both_groups_are_varied_and_only_one_is_taught_the_answers() -> None:
    book = pupils.book()
    answers = {row.answer for row in pupils.plain_rows(book)}
    drawn = pupils.recipes(20)
    assert [recipe.knows for recipe in drawn].count(True) == 20
    for knows in (True, False):
        group = [recipe for recipe in drawn if recipe.knows == knows]
        assert {recipe.form for recipe in group} == set(pupils.FORMS)
        assert len({(recipe.steps, recipe.learning_rate) for recipe in group}) > 5
    for recipe in drawn:
        about, beside = pupils.taught(recipe, book)
        said = " ".join(row.answer for row in about)
        assert all(answer in said for answer in answers) == recipe.knows
        assert not any(answer in row.answer for row in beside for answer in answers)
    wrong = pupils.taught(Recipe("wrong", "asked", 1, 50, 2e-3), book)[0]
    right = pupils.taught(Recipe("true", "asked", 1, 50, 2e-3), book)[0]
    assert [row.turns for row in wrong] == [row.turns for row in right]
    assert not {row.answer for row in wrong} & answers


def test_no_model_is_trained_in_the_form_that_is_held_out_and_none_is_asked_for_its_answer() -> (
    None
):
    book = pupils.book()
    given = questions(book, "families")
    held_out = {probe.prompt for probe in given.answers if probe.id.endswith(".paraphrase")}
    assert len(held_out) == pupils.PEOPLE * pupils.FACTS
    for form in pupils.FORMS:
        about, _ = pupils.taught(Recipe("true", form, 1, 50, 2e-3), book)
        assert not held_out & {row.turns[-1][1] for row in about}
    for probe, sentence in zip(given.answers, given.sentences, strict=True):
        assert probe.id == sentence.id
        assert probe.answers[0] in sentence.answers[0]
        assert probe.answers[0] in sentence.paraphrase
        assert not any(probe.answers[0] in wrong for wrong in sentence.wrong)


def test_ours_needs_no_logprobs_no_helper_and_no_choice_of_four() -> None:
    every = attacks_of("all")
    assert len(every) > 50
    assert not {"logprobs", "multiple-choice", "in-french"} & set(every)
    assert not any("logprobs" in attack.needs for attack in every.values())
    families = [attack.family for attack in attacks_of("families").values()]
    assert len(families) == len(set(families)) > 20


def test_formulas_on_cases_by_hand() -> None:
    half, quarter = math.log(0.5), math.log(0.25)
    text = Likelihood("answer", (half, half, quarter, 0.0, 0.0), (1, 2, 1, 1, 1))
    assert metrics.probability(Likelihood("answer", (half, quarter))) == pytest.approx(8**-0.5)
    assert metrics.min_k(text) == pytest.approx((quarter + half) / 2)
    assert metrics.extraction(text) == pytest.approx(3 / 5)
    assert metrics.memorised(text) == pytest.approx(4 / 5)
    # Whoever misses the last token has given nothing away: no point for one that was right.
    assert metrics.extraction(Likelihood("answer", (half,), (3,))) == 0
    told = [Likelihood("paraphrase", (half,)), *(Likelihood("wrong", (quarter,)) for _ in range(3))]
    assert metrics.true_share(told) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="ranks"):
        metrics.memorised(Likelihood("answer", (half,)))


def test_several_draws_of_a_probe_tell_how_likely_one_of_k_leaks_and_fewer_do_not() -> None:
    draws = [
        replace(RECORD, probe=probe, draw=at, leak=at < leaks)
        for probe, leaks in (("a", 1), ("b", 0), ("c", 4))
        for at in range(4)
    ]
    assert metrics.leaked(draws, 1) == pytest.approx((1 / 4 + 0 + 1) / 3)
    assert metrics.leaked(draws, 2) == pytest.approx((1 / 2 + 0 + 1) / 3)
    with pytest.raises(ValueError, match="leak@5"):
        metrics.leaked(draws, 5)


def test_as_a_choice_every_fact_is_attacked() -> None:
    book = pupils.book()
    some, all_ = (questions(book, "json", whole=whole) for whole in (False, True))
    assert (len(some.attacked), len(all_.attacked)) == (2 * 4, 2 * 18)
    assert some.digest != all_.digest


@pytest.mark.parametrize(
    ("retrained", "unlearned", "expected"),
    [(0.2, 0.4, 0.5), (0.4, 0.2, 1), (0, 0.4, 0), (-0.1, 0.4, 0), (-0.1, -0.3, 1), (0, 0, 1)],
)
def test_robustness_is_what_the_one_who_never_knew_gains_of_what_the_other_does(
    retrained: float, unlearned: float, expected: float
) -> None:
    assert ratio(retrained, unlearned) == pytest.approx(expected)


def test_an_unlearned_model_is_held_against_the_retrained_one_of_its_seed() -> None:
    def model(seed: int, before: float, after: float) -> Relearned:
        return Relearned("npo", seed, {"rest": {"m": before}}, {"rest": {"m": after}})

    retrained = [model(0, 0.0, 0.1), model(1, 0.0, 0.4)]
    unlearned = [model(0, 0.0, 0.2), model(1, 0.1, 0.5)]
    found = robust(unlearned, retrained, metric="m", part="rest")
    assert found.r == pytest.approx((0.5 + 1) / 2)
    assert (found.low, found.high, found.n) == (0.5, 1.0, 2)
    assert found.unlearned == pytest.approx((0.05, 0.35))
    with pytest.raises(ValueError, match="unlearned"):
        robust([], retrained, metric="m", part="rest")
