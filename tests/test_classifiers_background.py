"""The background: varied, harmless, and nobody's."""

from classifiers.background import BACKGROUND
from classifiers.threshold import BACKGROUND_ALPHA, threshold


def test_there_are_enough_sentences_for_the_rate_they_are_used_at() -> None:
    assert len(set(BACKGROUND)) == len(BACKGROUND)
    assert threshold([0.0] * len(BACKGROUND), alpha=BACKGROUND_ALPHA) == 0.0


def test_questions_and_statements_are_both_there() -> None:
    questions = sum(sentence.endswith("?") for sentence in BACKGROUND)
    assert len(BACKGROUND) / 4 < questions < len(BACKGROUND) / 2
    assert all(20 <= len(sentence) <= 120 for sentence in BACKGROUND)
