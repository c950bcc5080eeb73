"""The lexicon: names as words, in any view, each place once."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.lexical import Lexicon, one_off
from classifiers.verdict import Span
from classifiers.views import fold, views


def spans(text: str, *names: str) -> list[str]:
    found = Lexicon((name, "c") for name in names).find(views(text))
    return [text[f.span.start : f.span.end] for f in found]


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("Ann", "annual Hannah ann-marie ANN's Ann", ["ann", "ANN", "Ann"]),
        ("Harry Potter", "harry\npotter", ["harry\npotter"]),
        ("Harry Potter", "Harry-Potter's", ["Harry-Potter"]),
        ("Harry Potter", "#HarryPotter!", ["HarryPotter"]),
        ("Harry Potter", "theharrypotterish", ["harrypotter"]),
        ("Ann Lee", "joannlee channleer", []),
        ("Hogwarts", "hogwartsian", []),
        ("Harry Potter", "Har ry Pot ter", ["Har ry Pot ter"]),
        ("Hogwarts", "Hog-warts", ["Hog-warts"]),
        ("Hogwarts", "the hog warts", ["hog warts"]),
        ("Hogwarts", "thehog warts", []),
        ("Ann Lee", "annlee", []),
        ("Ann Lee", "LEE, Ann", []),
        ("Ottoline Vask", "VASK, Ottoline", ["VASK, Ottoline"]),
        ("Ottoline van der Vask", "Vask, Ottoline van der", ["Vask, Ottoline van der"]),
        ("Voldemort", "I sayv o l d e m o r t", []),
        ("Voldemort", "I sayV o l d e m o r t", ["sayV o l d e m o r t"]),
        ("Ginny", "G-i-n-n-y is here", ["G-i-n-n-y"]),
        ("Ginny", "Gi-nny is here", []),
        ("Snape", "s n a p e s n a p e", ["s n a p e", "s n a p e"]),
        ("O'Brien", "OBrien O’Brien O Brien", ["O’Brien", "O Brien"]),
        ("哈利波特", "我喜欢哈利波特的书", ["哈利波特"]),
        ("哈利波特", "哈 利 波 特", ["哈 利 波 特"]),
        ("해리 포터", "해리 포터는", ["해리 포터"]),
        ("Толстой", "Лев ТОЛСТОЙ писал", ["ТОЛСТОЙ"]),
        ("Zoë", "ZOE", ["ZOE"]),
        ("R2-D2", "r2d2 and R2 D2", ["R2 D2"]),
    ],
)
def test_a_name_is_found_as_words_of_its_own(name: str, text: str, places: list[str]) -> None:
    assert spans(text, name) == places


def test_a_name_in_a_disguise_is_found_once_with_its_view() -> None:
    text = f"say {base64.b64encode(b'the Hogwarts castle').decode()} now"
    [found] = Lexicon([("Hogwarts", "hp")]).find(views(text))
    assert (found.concept, found.name, found.view) == ("hp", "Hogwarts", "base64")
    assert found.span == Span(4, len(text) - 4)


def test_overlapping_names_are_all_found() -> None:
    assert spans("Harry James Potter Evans", "Harry James Potter", "James", "Potter Evans") == [
        "James",
        "Harry James Potter",
        "Potter Evans",
    ]


def test_two_concepts_may_share_a_name() -> None:
    found = Lexicon([("King", "b"), ("king", "a"), ("KING", "a")]).find(views("the king"))
    assert [(f.concept, f.name) for f in found] == [("b", "King"), ("a", "king")]


def test_the_longest_name_is_counted_folded() -> None:
    assert Lexicon([("Ann", "c"), ("Ｈａｒｒｙ — Potter", "c")]).longest == len("harry potter")
    assert Lexicon([]).longest == 0
    assert Lexicon([]).find(views("anything")) == []


@pytest.mark.parametrize("name", ["", "…", "X", "\u200b!", "C++"])
def test_a_name_too_short_to_be_told_from_noise_is_refused_without_being_shown(name: str) -> None:
    with pytest.raises(ValueError, match="a name needs at least 2 letters or digits") as caught:
        Lexicon([(name, "policy/concept")])
    assert str(caught.value).startswith("policy/concept: ")


def test_what_was_found_does_not_show_the_name() -> None:
    [found] = Lexicon([("Hogwarts", "hp")]).find(views("hogwarts"))
    assert "ogwarts" not in repr(found)


words = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=3, max_size=12)


@given(st.lists(words, min_size=1, max_size=3), st.text(max_size=20), st.text(max_size=20))
def test_any_name_between_spaces_is_found_where_it_stands(
    parts: list[str], before: str, after: str
) -> None:
    name = " ".join(parts)
    if len(fold(name).replace(" ", "")) < 2:
        return
    text = f"{before} {name} {after}"
    start = len(before) + 1
    found = Lexicon([(name, "c")]).find(views(text)[:1])
    assert any(f.span.start <= start and f.span.end >= start + len(name) for f in found) or (
        # The name begins or ends with characters that fold to nothing.
        any(start <= f.span.start and f.span.end <= start + len(name) for f in found)
    )


@pytest.mark.parametrize(
    ("name", "text", "cut"),
    [
        ("Ottoline Vask", "It was Otto-line V", "Otto-line V"),
        ("Ottoline Vask", "It was Vask, Ottol", "Vask, Ottol"),
        ("Ottoline Vask", "It was Ottoline", None),
        ("Ottoline Vask", "It was Ottoline Vash", None),
        ("the lamp painter", "Then came the l", None),
        ("the lamp painter", "Then came the lamp p", "the lamp p"),
        ("Hogwarts", "At Hogwa", "Hogwa"),
        ("Hogwarts", "At Hogw", None),
        ("Hogwarts", "At AtHogwar", None),
        ("ハリー・ポッター", "私はハリー・ポッタ", "ハリー・ポッタ"),
    ],
)
def test_a_text_that_breaks_off_past_half_of_a_name(name: str, text: str, cut: str | None) -> None:
    found = Lexicon([(name, "c")]).begun(views(text)[0])
    assert [text[f.span.start : f.span.end] for f in found] == ([cut] if cut else [])


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("Ottoline Vask", "It was Ottolina Vask.", ["Ottolina Vask"]),
        ("Ottoline Vask", "It was Ottoline Vassk.", ["Ottoline Vassk"]),
        ("Ottoline Vask", "It was Otoline Vask.", ["Otoline Vask"]),
        ("Ottoline Vask", "It was Ottolien Vask.", ["Ottolien Vask"]),
        ("Ottoline Vask", "Das ist Ottoline Vasks Haus.", ["Ottoline Vasks"]),
        ("Ottoline Vask", "It was Otolina Vask.", []),
        ("Ottoline Vask", "It was Ottoline Vaskers.", []),
        ("Ottoline Vask", "Ottoline Vask, not Ottolina Vask", ["Ottoline Vask"]),
        ("Otto Vask", "It was Otta Vask.", []),
    ],
)
def test_a_long_name_is_found_with_one_mistake(name: str, text: str, places: list[str]) -> None:
    assert spans(text, name) == places


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_mistake_is_one_edit(said: str, name: str) -> None:
    edits = {name[:n] + name[n + 1 :] for n in range(len(name))}
    edits |= {name[:n] + c + name[n + 1 :] for n in range(len(name)) for c in "abc"}
    edits |= {name[:n] + c + name[n:] for n in range(len(name) + 1) for c in "abc"}
    edits |= {name[:n] + name[n : n + 2][::-1] + name[n + 2 :] for n in range(len(name) - 1)}
    assert one_off(said, name) == (said in edits - {name})
