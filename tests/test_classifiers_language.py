"""Which words read like English turned: only those, wherever they stand."""

import codecs

from classifiers.background import BACKGROUND
from classifiers.language import likelier, senseless


def rot13(words: list[str]) -> list[str]:
    return [codecs.encode(word, "rot13") for word in words]


def test_a_fact_under_a_cipher_is_told_from_the_english_before_it() -> None:
    plain = ["Here", "it", "is", "in", "a", "little", "code", "for", "you"]
    hidden = rot13(["Ottoline", "Vask", "painted", "lighthouses"])
    found = likelier([*plain, *hidden], rot13([*plain, *hidden]))
    assert found is not None
    assert found.stop == len(plain) + len(hidden)
    assert len(plain) - 1 <= found.start <= len(plain)


def test_words_that_stand_the_wrong_way_round_are_found_in_the_middle() -> None:
    words = [
        *["as", "you", "asked", "for"],
        *["dna", "os", "sesuohthgil", "detniap"],
        *["in", "the", "end"],
    ]
    found = likelier(words, [word[::-1] for word in words])
    assert found is not None
    assert words[found] == ["dna", "os", "sesuohthgil", "detniap"]


def test_english_as_it_stands_is_left_alone() -> None:
    turned = [
        sentence for sentence in BACKGROUND if likelier(sentence.split(), rot13(sentence.split()))
    ]
    back = [s for s in BACKGROUND if likelier(s.split(), [word[::-1] for word in s.split()])]
    assert turned == []
    assert len(back) <= len(BACKGROUND) // 50


def test_nothing_is_no_language() -> None:
    assert likelier([], []) is None
    assert likelier(["…", "42"], ["42", "…"]) is None


def test_noise_reads_like_no_language_and_a_sentence_within_it_does() -> None:
    noise = ["giFT", "vVLz", "KhGt", "sMZ", "XL", "qpg", "pxjrl"]
    assert senseless(noise)
    assert not senseless([*noise, "Ottoline", "Vask", "painted", "lighthouses", *noise])
    for words in ("Wojciech", "wurde in Sarnholm geboren", "nació en la ciudad", "девять рабочих"):
        assert not senseless(words.split())
    assert not senseless([])
