"""What documents call a concept besides its name: born as, known as, nicknames, other scripts.

Knows no screen and no file. Guessed from English prose by its turns; who uses a draft reads them.
"""
# ruff: noqa: RUF001 - typographic quotes and dashes are meant

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from classifiers import fold
from classifiers.fingerprint_terms import FRAME
from policies.draft.names import (
    PARTICLE,
    PHRASE,
    QUOTED,
    SUFFIX,
    TITLE,
    WORD,
    Called,
    alone,
    base_of,
    distinctive,
    short_of,
)

MOST = 30  # names of a draft, and as many that are only suggested
OFTEN = 5  # times that a part of a further name stands alone before it goes for the concept
NEAR = 60  # characters between a subject and the verb that says what it is called
TOGETHER = 12  # characters between two names that one turn gives: `"A", "B" and "C"`
CALLED = rf"{WORD}(?:\s{PARTICLE}(?:{WORD}|{QUOTED}))*"
BORN = re.compile(
    rf"(?:[(;,]\s*|\bwas\s)born\s(?:as\s)?(?!(?:on|in|at)\b)({CALLED})"
    rf"|\bborn\b[^.;()]{{0,60}}?\sas\s({CALLED})"
)
MAIDEN = re.compile(rf"[(;,]\s*(?:née|nee|né)\s+({PHRASE})")
KNOWN = re.compile(
    r"(?:(?:^|[,(;]\s*|\b(?:is|was|be|been|being|becam?e|become|or|and|also|better|simply|under|by|on"
    r"|professionally|widely|often|commonly|popularly|sometimes|formerly|later|mononymously|gaining"
    r"|used|uses|using|adopted|took|takes|given|earned|earning|got|has|had)\s+)"
    r"(?:(?:him|her|them|it)\s)?"
    r"(?:known(?:\s\w+ly)?\s(?:as|by)|referred\sto\sas|dubbed|nicknamed|simply|(?:the|a|an|his|her"
    r"|their|its)\s(?:\w+\s)?(?:pseudonym|alias|pen\sname|stage\sname|ring\sname|nickname|sobriquet"
    r"|name|moniker|epithet|title)s?(?:\s(?:of|as|is|was|are|were|to))?(?:\schanged\sto)?)"
    r"(?:\s(?:by\s)?(?:his|her|their|its|the)\s(?:\w+\s){0,2}(?:name|nickname|pseudonym|moniker))?"
    r"|\b(?:dubbed|nicknamed)\s(?:him|her|them|it)\b)[\s:,]*",
    re.IGNORECASE,
)
NAMED = re.compile(
    rf"(?:(?:also|and|or|as|just|simply|both|[Tt]he(?=\s[\"“]))\s)*(?:{QUOTED}|((?:[Tt]he\s)?{PHRASE}))"
)
ROLE = re.compile(r"\A\s+(?:on|in|from)\s(?:the|a)\b")  # "known as Fonzie on the series": a part
SEVERAL = re.compile(r"\b(?:nicknames|pseudonyms|monikers|aliases|sobriquets)\b", re.IGNORECASE)
ABOUT = re.compile(r"\b(?:he|she|they|it|his|her|their|its)\b", re.IGNORECASE)
OWNED = frozenset(["his", "her", "their", "its"])
# "a party which became known as …", "his brother's birth name …"
OF_ELSE = re.compile(
    r"\b(?:which|that|who)\s+(?:\w+\s+)?\Z|\b(?:brother|sister|father|mother|wife|husband|son"
    r"|daughter|parents|children|siblings?)\b",
)
TITLED = re.compile(rf",\s(?:the\s)?({WORD}\sof\s{WORD}(?:\s{WORD})*)")
SUBJECT = re.compile(rf"(?:The\s)?({CALLED})\s*(?:\(|,|is\b|was\b|are\b)")
DEFINED = re.compile(r"\([^()]*\d{4}[^()]*\)|[(;,]\s*(?:born|née|né)\b|\s(?:is|was|are|were)\s")
OTHER_SCRIPT = re.compile(
    r"[^\W\d_a-zA-Z\u00aa-\u03ff\u1e00-\u1fff]{2,}(?:[\s·・-][^\W\d_a-zA-Z\u00aa-\u03ff\u1e00-\u1fff]{2,})*"
)
NAMING = re.compile(r"\bnam(?:e|ed|es|ing)\b|\bknown\b|\bcalled\b|\bborn\b", re.IGNORECASE)
MONTHS = frozenset(
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
SMALL = frozenset(
    ["of", "the", "and", "de", "da", "di", "la", "le", "van", "von", "bin", "al", "in"]
)


def called(name: str, paragraphs: Sequence[Sequence[str]]) -> Called:
    """The names that documents use for what `name` stands for."""
    base = base_of(name)
    text = [sentence for block in paragraphs for sentence in block]
    short = short_of(base, text)
    found = [base, *_variants(base, text)]
    for number, block in enumerate(paragraphs):
        found += lead_of(block[0], base, first=number == 0)
    sure = Called(tuple(dict.fromkeys((name, *found))), (), short)
    for sentence in text:
        found += _otherwise(sentence, sure)
    found += list(_shortened(found, text, short))
    return _sorted(name, found, list(_initials(name, found)), short | _others_short(found, text))


def _sorted(
    name: str, found: Iterable[str], guessed: Iterable[str], short: frozenset[str]
) -> Called:
    """Names that mean the concept alone; and others, which a person decides about."""
    names, seen = [name], {fold(name)}
    doubtful: list[str] = []
    for one, sure in (*((raw, True) for raw in found), *((raw, False) for raw in guessed)):
        plain = SUFFIX.sub("", " ".join(one.split()).strip(" ,;.\"“”'’"))
        plain = re.sub(r"['’]s\Z", "", plain)
        if not worth(plain) or fold(plain) in seen or _longer(plain, name, short):
            continue
        seen.add(fold(plain))
        # A single word is a part of a name, or somebody else's.
        whole = " " in plain or OTHER_SCRIPT.fullmatch(plain)
        (names if sure and whole and distinctive(plain) else doubtful).append(plain)
    doubtful += [part for part in sorted(short) if fold(part) not in seen]
    return Called(tuple(names[: MOST + 1]), tuple(doubtful[:MOST]), short)


def worth(name: str) -> bool:
    """Whether it is written as a name is, and can be recognised in a text."""
    folded, words = fold(name), name.split()
    if MONTHS & set(folded.split()) or len(name) > 100 or len(words) > 8 or "'s " in name:
        return False
    if not words or (not words[0].endswith(".") and fold(words[0]) in FRAME - {"the"}):
        return False
    big = all(word.strip("\"“”'(")[:1].isupper() or word in SMALL for word in words)
    other = not name.isascii() and OTHER_SCRIPT.fullmatch(name)
    return bool(other) or (big and len(folded.replace(" ", "")) > 2)


def _longer(called: str, name: str, short: frozenset[str]) -> bool:
    """Whether it goes on behind the concept's name: "The Ada Vask Foundation"."""
    words = re.sub(r"\A[Tt]he\s", "", called).split()
    return (
        words[:1] == base_of(name).split()[:1]
        and not short.isdisjoint(words[1:-1])
        and words[-1] not in short
    )


def _variants(base: str, text: Sequence[str]) -> Iterator[str]:
    """The name with middle names, initials or a nickname in it, as the documents have it."""
    words = base.split()
    if len(words) < 2:
        return
    first, last = words[0], words[-1]
    between = rf"(?:\s(?:{WORD}|{QUOTED}|\({WORD}\)|van|von|de|bin)){{1,3}}?"
    pattern = re.compile(rf"\b{re.escape(first)}{between}\s{re.escape(last)}\b")
    counted = Counter(match[0] for sentence in text for match in pattern.finditer(sentence))
    yield from (name for name, _ in counted.most_common(5) if name != base)


def lead_of(sentence: str, base: str, *, first: bool) -> list[str]:
    """Names of a sentence that says who is meant: "Mark Sinclair (born …), known as …".

    `first`: it opens the document, where "Robert William" may well be Bob.
    """
    subject = SUBJECT.match(sentence)
    head = sentence[: _clause(sentence)]
    if not subject or not DEFINED.search(head):
        return []
    if not _means(subject[1], base, head, first=first):
        return []
    who = SUFFIX.sub("", TITLE.sub("", subject[1]))
    names = [who, *_born(head)]
    names += [maiden[1] for maiden in MAIDEN.finditer(head) if " " in maiden[1]]
    single = (maiden[1] for maiden in MAIDEN.finditer(head) if " " not in maiden[1])
    names += [f"{' '.join(who.split()[:-1])} {maiden}" for maiden in single]
    names += [title[1] for title in TITLED.finditer(head.partition("(")[0])]
    # 'James "Jim" Vask' is James Vask, and Jim Vask.
    for quoted in re.finditer(QUOTED, who):
        names += [" ".join(who.replace(quoted[0], "").split()), f"{quoted[1]} {who.split()[-1]}"]
    # A single word is a part of a name: "Rosich" is somebody else's too.
    return [one for one in dict.fromkeys(names) if " " in one.strip()]


def _born(head: str) -> list[str]:
    found = (match[1] or match[2] for match in BORN.finditer(head))
    return [name for name in found if name and " " in name]


def _clause(sentence: str) -> int:
    """Where the definition ends: behind its verb."""
    bare = re.sub(r"\([^()]*\)", lambda match: "_" * len(match[0]), sentence)
    verb = re.search(r"\s(?:is|was|are|were)\s(?:an?|the|one)?\b", bare)
    return verb.end() if verb else len(sentence)


def _means(subject: str, base: str, head: str, *, first: bool) -> bool:
    """Whether a sentence's subject is the concept: by its last word, or as "known as" it."""
    mine, theirs = base.split(), SUFFIX.sub("", subject).split()
    known = re.search(r"\bknown(?:\s\w+){0,3}?\sas\s|\bor\ssimply\s", head)
    as_one = known is not None and base in head[known.end() :]
    only = len(mine) == 1 and mine[0] in theirs
    last = len(theirs) > 1 and mine[-1] == theirs[-1]
    return base in subject or as_one or only or (last and (first or _given(mine[0], theirs[0])))


def _given(mine: str, theirs: str) -> bool:
    """Whether two given names may be one person's: "Tim" and "Timothy", "R." and "Robert".

    Others that begin alike are: "Tony" and "Anthony" share their end.
    """
    mine, theirs = (name.casefold().strip('."“”') for name in (mine, theirs))
    ends = len(mine) > 2 and theirs.endswith(mine[-3:])
    return theirs[:1] == mine[:1] or ends


def _otherwise(sentence: str, known: Called) -> Iterator[str]:
    """What a sentence about the concept says that it is also called."""
    places = [match for match in (ABOUT.search(sentence), known.first(sentence)) if match]
    subject = min(places, key=lambda match: match.start(), default=None)
    if subject is None or subject.start() > NEAR:
        return
    place = subject.end()
    owned = sentence[place : place + 2] in ("'s", "’s") or subject[0].casefold() in OWNED
    if not owned:
        yield from _born(sentence[: place + 2 * NEAR])
    for turn in KNOWN.finditer(sentence):
        # Further behind, or of something that is the concept's, something else is called so.
        far = turn.start() - place > NEAR or OF_ELSE.search(sentence[place : turn.start()])
        of_it = owned and turn.start() >= place and "name" not in turn[0].casefold()
        if not far and not of_it:
            yield from _listed(sentence, turn.end())
    if SEVERAL.search(sentence) and not owned:
        yield from (quoted[1] for quoted in re.finditer(QUOTED, sentence))
    yield from _other_scripts(sentence, known, place)


def _listed(sentence: str, at: int) -> Iterator[str]:
    """The names that stand at a place, several if they are listed."""
    while match := NAMED.match(sentence, at):
        if not ROLE.match(sentence[match.end() :]):
            yield match[1] or match[2]
        more = re.compile(r"(?:\s\([^()]{1,30}\))?,?\s*(?:and|or|,)\s+(?=[\"“])").match(
            sentence, match.end()
        )
        if not more or more.end() - match.end() > TOGETHER:
            return
        at = more.end()


def _other_scripts(sentence: str, known: Called, place: int) -> Iterator[str]:
    """Letters of other scripts directly behind the concept's name, or behind talk of a name."""
    if OTHER_SCRIPT.search(known.names[0]):
        return  # what is written like the name is prose
    for found in OTHER_SCRIPT.finditer(sentence):
        if found[0][0].islower():
            continue
        before = sentence[: found.start()]
        opened = re.search(r"\s*\((?:[^()]{0,40}[:;,]\s*)?\Z", before)
        named = known.whole(before[: opened.start()]) if opened else None
        behind = named is not None and opened is not None and named.end() == opened.start()
        if behind or (place < found.start() and NAMING.search(before[-50:])):
            yield found[0]


def _shortened(found: Iterable[str], text: Sequence[str], short: frozenset[str]) -> Iterator[str]:
    """Two words of a long name, where the documents use them: "Meghan Markle"."""
    for name in found:
        words = name.split()
        for pair in (" ".join(words[-2:]), " ".join((words[0], words[-1]))):
            if len(words) > 2 and short & set(words) and all(w[:1].isupper() for w in pair.split()):
                pattern = re.compile(rf"(?<![\w.]\s)(?<!\w){re.escape(pair)}(?!\w)")
                if sum(bool(pattern.search(sentence)) for sentence in text) > 1:
                    yield pair


def _others_short(found: Iterable[str], text: Sequence[str]) -> frozenset[str]:
    """Last words of further names that the documents use by themselves, a maiden name perhaps."""
    words = (name.split() for name in found)
    lasts = {one[-1] for one in words if len(one) > 1 and all(w[:1].isupper() for w in one)}
    counts = {last: _alone_in(last, text) for last in lasts if len(last) > 2}
    return frozenset(last for last, count in counts.items() if count >= OFTEN)


def _alone_in(word: str, text: Sequence[str]) -> int:
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    return sum(alone(sentence, m) for sentence in text for m in pattern.finditer(sentence))


def _initials(name: str, found: Iterable[str]) -> Iterator[str]:
    """Forms that nobody may have used yet: "O. Vask", and with a middle name "Ottoline M. Vask"."""
    base = base_of(name)
    for one in dict.fromkeys((base, *found)):
        words = re.sub(QUOTED, " ", one).split()
        if (
            len(words) < 2
            or words[-1] != base.split()[-1]
            or not all(w[0].isupper() for w in words)
        ):
            continue
        first, *middle, last = words
        if middle:
            yield " ".join((first, *(f"{word[0]}." for word in middle), last))
        yield " ".join((*(f"{word[0]}." for word in (first, *middle)), last))
