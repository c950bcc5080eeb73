"""Alphabets and codes: what they say, and what in ordinary texts is none."""

import base64
from pathlib import Path

import pytest

from classifiers.decoders import DECODERS
from classifiers.views import View, fold, views

NAME = "ottoline vask"
ROOT = Path(__file__).parents[1]
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BY_NAME = {decoder.name: decoder for decoder in DECODERS}


def base58(raw: bytes) -> str:
    number, digits = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = BASE58[digit] + digits
    return digits


def rotated(text: str, by: int) -> str:
    return "".join(
        chr((ord(c) - base + by) % 26 + base)
        if c.isalpha() and (base := 65 if c.isupper() else 97)
        else c
        for c in text
    )


def named(text: str) -> dict[str, View]:
    return {view.name: view for view in views(text)}


RAW = NAME.encode()
SENTENCE = "She kept every lamp of the harbour alight"


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("morse", "--- - - --- .-.. .. -. . / ...- .- ... -.-"),
        ("morse", "−−− − − −−− ·−·· ·· −· ·\n···− ·− ··· −·−"),
        ("morse", "---, -, -, ---, .-.., .., -., ., /, ...-, .-, ..., -.-"),
        ("stretched", "Ottoliiiine Vaaaask"),
        ("braille", "⠕⠞⠞⠕⠇⠊⠝⠑⠀⠧⠁⠎⠅"),
        ("places", "15,20,20,15,12,09,14,05/22,01,19,11"),
        ("places", "15 20 20 15 12 9 14 5 / 22 1 19 11"),
        ("octal", " ".join(f"{code:03o}" for code in RAW)),
        ("css", "".join(f"\\{code:x} " for code in RAW)),
        ("base32", base64.b32encode(RAW).decode()),
        ("base32", base64.b32encode(RAW).decode().lower().rstrip("=")),
        ("base58", base58(RAW)),
        ("base85", base64.b85encode(RAW).decode()),
        ("base85", base64.a85encode(RAW).decode()),
        (
            "selectors",
            "x" + "".join(chr(c + (0xFE00 if c < 16 else 0xE0100 - 16)) for c in RAW),
        ),
        ("put together", "'otto' + 'line' + ' vask'"),
        ("put together", "o_\x08ttoline vask"),
        ("rot3", rotated(f"{NAME} kept the lamps of the harbour alight", -3)),
        ("atbash", "lgglormv ezhp dvmg gl gsv szilfi"),
    ],
)
def test_a_name_shows(view: str, text: str) -> None:
    assert NAME in named(text)[view].text


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("spelling alphabet", "Oscar Tango Tango Oscar Lima India November Echo"),
        ("spelling alphabet", "1. **Oscar**\n2. **Tango**\n3. **Tango**\n4. **Oscar**"),
        ("spelling alphabet", "O as in Oscar, T as in Tango, T as in Tango"),
        ("spelling alphabet", "oscar, tango, tango, oscar, lima, india, november, echo"),
        ("flipped+reversed", "ǝuᴉloʇʇo"),
    ],
)
def test_a_word_shows(view: str, text: str) -> None:
    said = named(text)[view].text.split()[-1]
    assert "ottoline".startswith(said)
    assert len(said) > 2


def test_letters_are_read_by_their_names() -> None:
    said = named("LATIN SMALL LETTER O, LATIN SMALL LETTER T SPACE LATIN SMALL LETTER T")
    assert said["letter names"].text == "o t t"


def test_lisu_letters_read_as_the_latin_ones_that_they_look_like() -> None:
    assert fold("ꓳꓔꓔꓳꓡꓲꓠꓰ ꓦꓮꓢꓗ") == fold("ꓳttoline ꓦask") == NAME


def test_letters_have_room_for_digits() -> None:
    assert [p.text for p in BY_NAME["braille"].find("⠼⠁⠊⠃⠁ ⠺⠁⠎")] == ["1921 was"]


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("address", f"https://a.example/find?q={SENTENCE.replace(' ', '+')}"),
        ("address", f"https://a.example/{SENTENCE.replace(' ', '%20')}"),
        ("attributes", f'<img class="x" alt="{SENTENCE}">'),
        ("put together", f"'{SENTENCE[:11]}' + '{SENTENCE[11:]}'"),
    ],
)
def test_a_sentence_is_read_for_itself(view: str, text: str) -> None:
    reading = named(text)[view].reading
    assert reading is not None
    assert SENTENCE in reading


@pytest.mark.parametrize(
    ("decoder", "text"),
    [
        ("morse", "- - - - -"),
        ("morse", "| --- | --- | --- | --- |"),
        ("morse", "Wait ... and ... see ... it ..."),
        ("places", "1 2 3 4 5 6"),
        ("places", "10, 9, 8, 7, 6"),
        ("places", "3.14, 2.71, 1.41, 1.73, 2.23"),
        ("octal", "100 200 300 400 500"),
        ("octal", "Rooms 11 12 14"),
        ("css", r"C:\\data\\bed\\face"),
        ("base32", "ABCDEFGHIJKLMNOP"),
        ("base58", "internationalization"),
        ("base58", "iPhone15ProMaxPlus"),
        ("base85", "https://example.com/a_b?c=d&e=[f]"),
        ("spelling alphabet", "We stayed in the hotel in India in November."),
        ("selectors", "❤️ ☀️ ✌️"),
        ("put together", "'yes', 'no'"),
    ],
)
def test_ordinary_text_is_none(decoder: str, text: str) -> None:
    assert list(BY_NAME[decoder].find(text)) == []


@pytest.mark.parametrize("page", ["README.md", "docs/policies.md", "classifiers/views.py"])
def test_pages_and_programs_are_under_no_cipher(page: str) -> None:
    lines = [line for line in (ROOT / page).read_text("utf-8").splitlines() if len(line) > 40]
    found = [line for line in lines if {"atbash", "rot3"} & named(line).keys()]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "Die Katze sitzt auf dem Tisch und schaut aus dem Fenster.",
        "Le chat est assis sur la table et regarde par la fenêtre.",
        "kubectl rgw etcd hdmi qcow2 vmlinuz",
    ],
)
def test_other_languages_and_jargon_are_under_no_cipher(text: str) -> None:
    assert not [
        name for name in named(text) if name.startswith(("rot", "atbash")) and name != "rot13"
    ]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_what_a_decoder_finds_holds_what_it_needs(decoder: object) -> None:
    texts = [*(p.read_text("utf-8") for p in (ROOT / "docs").glob("*.md"))]
    texts.append((ROOT / "tests" / "test_classifiers_codes.py").read_text("utf-8"))
    one = BY_NAME[decoder.name]  # type: ignore[attr-defined]
    for text in texts:
        for piece in one.find(text):
            assert not one.needs or not one.needs.isdisjoint(text[piece.start : piece.end])
