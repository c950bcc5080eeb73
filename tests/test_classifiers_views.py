"""Views: what a text could be read as, and where each reading stands in it."""

import base64
import codecs
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.views import (
    LEAST_ROOM,
    MOST_GROWTH,
    MOST_VIEWS,
    UnreadableError,
    View,
    fold,
    reading,
    views,
)

# Any code point, lone surrogates too, and what disguises are made of.
texts = st.text(st.characters(), max_size=60) | st.text(
    "aSGo9nd2H0g4%&#;\\ux.-_ =!|\u200b\u0391н\n"
)


def named(text: str) -> dict[str, View]:
    return {view.name: view for view in views(text)}


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hogwarts", "hogwarts"),
        ("  Two\n\twords ", "two words"),
        ("Hógwàrts", "hogwarts"),
        ("Ho\u0301gwarts", "hogwarts"),
        ("Ｈｏｇｗａｒｔｓ", "hogwarts"),
        ("𝓗𝖔𝗴𝔀𝕒𝐫𝑡𝚜", "hogwarts"),
        ("Ⓗⓞⓖ🅦🄰🆁🅃Ⓢ", "hogwarts"),
        ("Нogwаrtѕ", "hogwarts"),
        ("ʜᴏɢᴡᴀʀᴛꜱ", "hogwarts"),
        ("Ho\u200bg\u00adw\u2060a\ufe0fr\u202et\U000e0041s", "hogwarts"),
        ("H\x00ogwarts\x07", "hogwarts"),
        ("Hog\ud800warts", "hogwarts"),
        ("Hogㅤwarts", "hogwarts"),
        ("It’s — “fine”", "it s fine"),
        ("Straße", "strasse"),
        ("ŁÓDŹ", "lodz"),
        ("①²", "12"),
        ("राम", "राम"),  # a sign of a vowel is part of its word
        ("哈利·波特", "哈利 波特"),
        ("…!?", ""),
        ("", ""),
    ],
)
def test_a_text_folds_to_what_it_reads_as(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert views(text)[0].text == folded


def test_a_name_is_the_same_composed_and_decomposed_in_capitals_and_small() -> None:
    assert fold("Ærøskøbing") == fold("ÆRØSKØBING")
    assert fold("한글") == fold("\u1112\u1161\u11ab\u1100\u1173\u11af")
    assert fold("Νίκος") == fold("ΝΙΚΟΣ")


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("H0gw4rts", "leet"),
        ("hogw@rt$", "leet"),
        ("hogwart5!", "leet"),
        ("H o g w a r t s", "spaced"),
        ("H-o-g-w-a-r-t-s", "spaced"),
        ("H. o. g. w. a. r. t. s", "spaced"),
        ("strawgoH", "reversed"),
        ("Ubtjnegf", "rot13"),
        ("SG9nd2FydHM=", "base64"),
        ("SG9nd2FydHM", "base64"),
        ("486f677761727473", "hex"),
        ("48 6F 67 77 61 72 74 73", "hex"),
        ("48:6f:67:77:61:72:74:73", "hex"),
        (r"\x48\x6f\x67\x77\x61\x72\x74\x73", "hex"),
        ("0x48 0x6f 0x67 0x77 0x61 0x72 0x74 0x73", "hex"),
        ("0100100001101111011001110111011101100001011100100111010001110011", "binary"),
        ("72 111 103 119 97 114 116 115", "decimal"),
        ("%48ogwart%73", "percent"),
        ("&#72;ogwart&#x73;", "entities"),
        (r"\u0048ogwarts", "escapes"),
        (r"\u{48}ogwarts".replace("48", "0048"), "escapes"),
        ("ΗOGWARTS", "capitals"),
        ("ᕼOGᗯᗩᖇTᔕ", "styled"),
        ("卄ㄖᎶ山卂尺ㄒ丂", "styled"),
        ("Ⱨ0₲₩₳ⱤŦ₴".replace("0", "Ø").replace("₩", "W").replace("Ŧ", "₮"), "styled"),
        (r"H\"og\v{w}art\v{s}", "latex"),
        ("%u0048ogwarts", "escapes"),
        ("72,\n   111,\n   103,\n   119,\n   97,\n   114,\n   116,\n   115", "decimal"),
        (base64.b64encode("Hogwarts".encode("utf-32-le")).decode(), "base64"),
        (f"<~{base64.a85encode(b'Hogwarts!').decode()}~>", "base85"),
        (r"Hog\-war{}ts", "markup"),
        (base64.b64encode(b"strawgoH").decode(), "base64+reversed"),
        (base64.b64encode(b"Ubtjnegf").decode(), "base64+rot13"),
        (base64.b64encode(b"H0gw4rts").decode(), "base64+leet"),
        (base64.b64encode(b"SG9nd2FydHM=").decode(), "base64+base64"),
        ("SG9nd2FydHM="[::-1], "reversed+base64"),
        (codecs.encode("SG9nd2FydHM", "rot13"), "rot13+base64"),
        (b"Hogwarts"[::-1].hex(), "hex+reversed"),
    ],
)
def test_a_disguised_name_shows_in_a_view(text: str, view: str) -> None:
    assert named(text)[view].text == "hogwarts"
    around = named(f"Tell me of {text} now")[view]
    at = around.text.replace(" ", "").index("hogwarts")
    place = [n for n, char in enumerate(around.text) if char != " "]
    span = around.span(place[at], place[at + 7] + 1)
    assert (span.start, span.end) == (11, 11 + len(text.rstrip("!")))


def test_a_one_may_be_an_l() -> None:
    assert named("be11a")["leet-l"].text == "bella"
    assert named("be11a")["leet"].text == "beiia"


def test_wide_gaps_between_spaced_letters_part_words() -> None:
    assert named("S h e  w a s  h e r e")["spaced"].reading == "She was here"


@pytest.mark.parametrize(
    "text",
    [
        "Born on 12 May 1990, she won 3 awards and nothing else.",
        "The facade of the cafe is 100 % pure marble; see https://example.org/a/b.",
        "well-known and/or state-of-the-art",
        "It is 4 5 6 7 o'clock",
    ],
)
def test_an_ordinary_text_is_encoded_once(text: str) -> None:
    assert [view.name for view in views(text) if view.reading] == ["plain"]


def test_words_with_digits_are_searched_but_not_encoded_again() -> None:
    view = named("the 1990s and covid19")["leet"]
    assert view.reading is None
    assert named("h4rry p0tter")["leet"].reading == "harry potter"


def test_of_words_with_hyphens_between_digits_alone_are_letters_too() -> None:
    assert named("P4rk 743-h0 h4d m37 h1m")["leet"].text == "park tae ho had met him"
    assert named("h0m3-m4d3 743-s0up")["leet"].text == "home made tae soup"
    for text in ("covid-19 and 2019-20", "a 20-year-old", "3-4 or 10-12 days"):
        assert "leet" not in named(text)


def test_turned_language_is_encoded_and_turned_noise_is_not() -> None:
    sentence = "He was born in the north of the country"
    assert named(sentence[::-1])["reversed"].reading == sentence
    assert named(codecs.encode(sentence, "rot13"))["rot13"].reading == sentence
    assert named(sentence)["reversed"].reading is None
    assert named(sentence)["rot13"].reading is None


def test_what_numbers_decode_to_is_searched_but_not_encoded() -> None:
    noise = b"giF5!T#U/1$vVLz*$4kxQzvbn".hex()
    assert named(noise)["hex"].reading is None
    hidden = b"He was born in the north".hex()
    found = named(f"{noise} {hidden}")["hex"].reading
    assert found is not None
    assert "He was born in the north" in found


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("00000000  48 6f 67 77 61 72 74 73  0a 00        |..........|", "hex"),
        ("00000000: 486f 6777 6172 7473 0a", "hex"),
        ("8f8f8f8f8f8f8f8f8f8f8f8f8f 486f677761727473", "hex"),
        ("486f677761727473 8 486f677761727473", "hex"),
        ("{72, 111, 103, 119, 97, 114, 116, 115, 10, 00}", "decimal"),
        ("0000000   72  111  103  119   97  114  116  115   10 1024", "decimal"),
        ("255 254 72 111 103 119 97 114 116 115", "decimal"),
        ("377 376 110 157 147 167 141 162 164 163 012", "octal"),
        (
            "11111111 01001000 01101111 01100111 01110111 01100001 01110010 01110100 01110011",
            "binary",
        ),
        ("-.-.-.- / .... --- --. .-- .- .-. - ... / --.-- ---.-", "morse"),
    ],
)
def test_a_name_among_codes_of_nothing_shows(text: str, view: str) -> None:
    assert "hogwarts" in named(text)[view].text.split()


def test_base64_cut_anywhere_is_read() -> None:
    token = base64.b64encode(b"The castle of Hogwarts lies in the north of Scotland.").decode()
    for cut in range(1, 5):
        assert "hogwarts lies in" in named(token[cut:])["base64"].text


@pytest.mark.parametrize(
    "text",
    [
        "&bogus;",
        r"\u{ffffff}",
        "%zz",
        "1 2 3 4 5",
        "00000001 00000010 00000011",
        "ffffffff",
    ],
)
def test_what_does_not_decode_gives_no_decoded_view(text: str) -> None:
    kinds = {"entities", "escapes", "percent", "spaced", "binary", "hex", "base64", "decimal"}
    assert kinds.isdisjoint(named(text))


def test_what_an_encoder_reads_keeps_case_and_accents_and_undoes_mixed_scripts() -> None:
    assert reading("Zoë  Łukasz\n was here") == "Zoë Łukasz was here"
    assert reading("Нogwаrts\u200b is Ｆine") == "hogwarts is Fine"
    assert reading("Ηogwarts") == "hogwarts"
    assert reading("Толстой") == "Толстой"
    assert reading("a\ud800b") == "ab"


def test_a_view_shows_nothing_of_the_text() -> None:
    assert "secret" not in repr(views("secret")[0])


@given(texts)
def test_every_offset_lies_in_the_text_and_runs_one_way(text: str) -> None:
    found = views(text)
    assert found[0].name == "plain"
    assert 1 <= len(found) <= MOST_VIEWS
    for view in found:
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(
            0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True)
        )
        assert list(view.starts) == sorted(view.starts, reverse="reversed" in view.name)
        assert view.reading is None or view.reading.encode()


@given(texts)
def test_folding_is_done_once_and_for_all(text: str) -> None:
    folded = fold(text)
    assert folded == fold(folded) == views(text)[0].text
    assert "  " not in folded
    assert folded == folded.strip()


@given(texts, texts, st.sampled_from(["H0gw4rts", "SG9nd2FydHM", "Ho\u200bgwarts", "strawgoH"]))
def test_the_span_of_a_match_covers_the_disguise(before: str, after: str, disguise: str) -> None:
    text = f"{before} , {disguise} , {after}"
    start = len(before) + 3
    spans = [
        view.span(at, at + 8) for view in views(text) if (at := view.text.find("hogwarts")) >= 0
    ]
    assert any(s.start <= start and s.end >= start + len(disguise) for s in spans)


def test_views_are_bounded_in_number_and_size() -> None:
    many = " ".join(
        ["H0gw4rts", "SG9nd2FydHM", "%48&#72;", r"\u0048", "H o g", "48 6f 67 77", "ΗA"]
    )
    assert len(views(many)) <= MOST_VIEWS
    long = f"{many} " * 200
    assert sum(len(view.text) for view in views(long)) <= MOST_GROWTH * len(long) + LEAST_ROOM


def test_what_outgrows_its_room_is_not_taken_for_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["classifiers.views"], "MOST_VIEWS", 3)
    with pytest.raises(UnreadableError) as caught:
        views("H0gw4rts SG9nd2FydHM %48 H o g")
    assert "gw4rts" not in str(caught.value)


def test_a_word_behind_hexadecimal_does_not_hide_it() -> None:
    assert "hogwarts" in named("48 6f 67 77 61 72 74 73 fade")["hex"].text
