"""Decoders: what a disguise says, and what is none."""

import base64

import pytest

from classifiers.decoders import DECODERS, Decoder

BY_NAME = {decoder.name: decoder for decoder in DECODERS}


def said(name: str, text: str) -> list[str]:
    return [piece.text for piece in BY_NAME[name].find(text)]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_nothing_hides_in_plain_words(decoder: Decoder) -> None:
    assert list(decoder.find("The quick brown fox jumps over the lazy dog.")) == []
    assert list(decoder.find("")) == []


def test_base64_is_read_with_either_alphabet_padded_or_not() -> None:
    text = "Überall ??>> and ~~~ here"
    plain = base64.b64encode(text.encode()).decode()
    safe = base64.urlsafe_b64encode(text.encode()).decode()
    assert plain != safe
    for token in (plain, safe, safe.rstrip("=")):
        assert said("base64", token) == [text]


def test_words_and_bytes_that_are_no_text_are_no_base64() -> None:
    assert said("base64", base64.b64encode(bytes(range(128, 160))).decode()) == []
    assert said("base64", base64.b64encode(b"0123456789").decode()) == []
    assert said("base64", "abcde fghijk Nothing") == []
    assert said("base64", "A" * 41) == []


def test_hexadecimal_of_binary_data_is_no_text() -> None:
    assert said("hex", bytes(range(200, 240)).hex()) == []


def test_codes_beyond_ascii_are_no_text() -> None:
    assert said("decimal", "900 901 902 903 904") == []
    assert said("binary", "11111111 11111111 11111111") == []


def test_an_escape_beyond_unicode_is_left_alone() -> None:
    assert said("escapes", r"\u{ffffff}") == []
    assert said("escapes", r"\u{1F600}\x41") == ["😀", "A"]


def test_numbers_that_stand_alone_are_not_spelt() -> None:
    assert said("spaced", "1 2 3 4") == []
    assert said("spaced", "a b 1 2") == []
    assert said("spaced", "H o g") == ["Hog"]


def test_leet_needs_a_letter_and_leaves_an_exclamation_at_the_end() -> None:
    assert said("leet", "1234 $50 100%") == []
    assert said("leet", "Wow!!! yes!") == []
    assert said("leet", "h!dden!") == ["hidden"]
    assert said("leet-l", "he11o") == ["hello"]


def test_greek_capitals_are_latin_only_beside_latin_letters() -> None:
    assert said("capitals", "ΝΙΚΟΣ") == []
    assert said("capitals", "ΗOGWARTS") == ["HOGWARTS"]


def test_what_is_short_or_common_is_not_worth_an_encoders_time() -> None:
    long, short = (base64.b64encode(text).decode() for text in (b"Hogwarts", b"King"))
    assert [p.readable for p in BY_NAME["base64"].find(f"{long} {short}")] == [True, False]
    assert [p.readable for p in BY_NAME["leet"].find("h4rry 1990s mp3")] == [True, False, False]
    assert not any(p.readable for p in BY_NAME["leet-l"].find("he11o"))
    assert [p.readable for p in BY_NAME["spaced"].find("H o g, w a r t s / a b c")] == [True]


def test_a_piece_shows_nothing_of_what_it_says() -> None:
    [piece] = BY_NAME["percent"].find("%48")
    assert "'H'" not in repr(piece)
