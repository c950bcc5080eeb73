"""Is a text a mere "I don't know"? Knows no concept.

A closed vocabulary: a text whose every word is in it can name, date and place nothing, so next to
any question it tells nothing. Extending it asks for the same care as extending a firewall: no
number, no month, no place, nobody's name or sex, nothing that is anybody's trade.
"""

from collections.abc import Collection

from classifiers.views import fold

# What must be said for a text to decline: one of these regrets, or something of knowing denied.
# "It is." and "No." answer a question in words of the vocabulary, and decline nothing.
_REGRETS = """
afraid apologies apologise apologize regret regrettably sorry unable unaware unfamiliar
unfortunately unknown unsure
"""
_DENIALS = """
ain cannot cant couldn couldnt didn didnt doesn doesnt don dont hadn hasn haven havent isn isnt
lack never no not nothing t wasn without won wouldn
"""
_KNOWING = """
across anything aware certain clue comment confirm details familiar find heard idea identify info
information knew know knowing knowledge known met recall recognise recognize remember say sure
tell
"""
_OTHERS = """
a about actually also am an and answer any anybody anyone anywhere are as ask asking at be
been before by can come complete could d did do does ever for from further give had has
have help here hm how i if in is it its just kind let like ll m make matter maybe me might mind
more much must my name names nobody nor of oh on or people perhaps person please provide
question re really refer refers regarding s seem seems sentence share should so somebody someone
something specific subject that the them there these they this those to topic truly um
up ve was we well were what when where which who whom whose why wish with would you your
"""

REGRETS = frozenset(_REGRETS.split())
DENIALS = frozenset(_DENIALS.split())
KNOWING = frozenset(_KNOWING.split())
WORDS = frozenset(_OTHERS.split()) | REGRETS | DENIALS | KNOWING


def declines(text: str, *, names: Collection[str] = ()) -> bool:
    """Whether a text only says that its speaker does not know.

    `names` are names that the question itself used. Repeating them tells nothing either, but only
    where knowing is denied: "Sorry, Stephen King." picks one of two, "I don't know Stephen King."
    does not.

    Safe by construction: every word is of the closed vocabulary or the question's own, so that the
    text can carry no fact beside that. What is left is a yes or a no, for a speaker who bends his
    words ("I'm not sure it is not").
    """
    words = fold(text).split()
    foreign = {word for word in words if word not in WORDS}
    denies = not DENIALS.isdisjoint(words) and not KNOWING.isdisjoint(words)
    if foreign:
        return denies and foreign <= {word for name in names for word in fold(name).split()}
    return denies or not REGRETS.isdisjoint(words)
