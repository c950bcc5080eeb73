"""Words run together, parted by a vocabulary; long words left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.spacing import LEAST_RUN, LONGEST_RUN, Spacing

WORDS = ["Ottoline", "Vask", "Sarnholm", "lighthouse", "painted", "harbour"]
SPACING = Spacing(["Ottoline Vask painted a lighthouse in the harbour of Sarnholm."])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OttolineVaskwasborninSarnholm.", "Ottoline Vask was born in Sarnholm."),
        ("so: VASKPAINTEDALIGHTHOUSE!", "so: VASK PAINTED A LIGHTHOUSE!"),
        ("OttolinezzrkSarnholm", "Ottoline zzrk Sarnholm"),
        ("Donaudampfschifffahrtsgesellschaft", None),
        ("Ottoline Vask was born in Sarnholm.", None),
        ("", None),
    ],
)
def test_runs_of_letters_are_parted_where_words_are_known(text: str, said: str | None) -> None:
    assert SPACING.parted(text) == said


@given(st.lists(st.sampled_from(WORDS), min_size=3, max_size=12))
def test_known_words_come_out_as_they_went_in(words: list[str]) -> None:
    run = "".join(words)
    assert LEAST_RUN <= len(run) <= LONGEST_RUN or SPACING.parted(run) is None
    if len(run) >= LEAST_RUN:
        assert SPACING.parted(run) == " ".join(words)


@given(st.text(max_size=80))
def test_only_spaces_are_added(text: str) -> None:
    said = SPACING.parted(text)
    assert said is None or said.replace(" ", "") == text.replace(" ", "")
