"""Letters that look like Latin ones, as tables. Knows nothing else.

A selection of the pairs that Unicode's UTS #39 calls confusable, for case-folded letters without
accents; full-width, mathematical, circled and superscript letters are NFKD's business.
"""
# ruff: noqa: RUF001 - letters that look alike are what this is about

_LOOKALIKES = {
    "a": "аαɑᴀꭺᎪꓮ",
    "b": "вьЬʙᏴƅꓐ",
    "c": "сϲᴄᏟⅽꮯꓚ",
    "d": "ԁᴅᎠđðɗⅾꭰꓓ",
    "e": "еєҽεᴇᎬəҿꭼꓰ",
    "f": "ƒꜰϝẝꓝ",
    "g": "ԍɡɢցᏀɠꓖ",
    "h": "һнʜհᎻħꮋꓧ",
    "i": "іιıɩɪւᎥɨꓲ",
    "j": "јյᴊᎫϳꓙ",
    "k": "ккκᴋᏦҝқӄꮶꓗ",
    "l": "ӏʟᏞłǀɭꮮꓡ",
    "m": "мᴍᎷϻꮇꓟ",
    "n": "пηɴոռƞɲꓠ",
    "o": "оοσօᴏөøⲟꓳ",
    "p": "рρᴘᏢϱꮲꓑ",
    "q": "ԛզգɋ",
    "r": "гʀᴦɾᏒꓣ",
    "s": "ѕꜱᏚʂꮪꓢ",
    "t": "тτᴛŧᎢꭲꓔ",
    "u": "μυսᴜʋꓴ",
    "v": "ѵνᴠᏙⅴꮩꓦ",
    "w": "ѡԝωաᴡᎳɯꮃꓪ",
    "x": "хχҳⅹ×ꓫ",
    "y": "уүγʏყᎩƴꓬ",
    "z": "ᴢʐᏃʑꮓꓜ",
    "ae": "æ",
    "oe": "œ",
    "ss": "ß",
}

TO_LATIN: dict[str, str] = {
    lookalike: latin for latin, lookalikes in _LOOKALIKES.items() for lookalike in lookalikes
}
# Letters in negative circles and squares, and flags' letters, have no decomposition.
for _first in (0x1F150, 0x1F170, 0x1F1E6):
    TO_LATIN |= {chr(_first + n): chr(ord("a") + n) for n in range(26)}

# Greek and Armenian capitals that look like another letter than their small forms do. Undone only
# in words that mix scripts: a Greek name must stay the same name in capitals.
CAPITALS: dict[str, str] = dict(zip("ΒΖΗΜΝΥՏՍՕ", "BZHMNYSUO", strict=True))

# All but what languages written in Latin letters use as letters of their own.
STRANGE: frozenset[str] = frozenset(TO_LATIN) - frozenset("æœßøłđðıƒŧħɓɗ")
