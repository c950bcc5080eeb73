"""Is a text a mere "I don't know"? Knows no concept.

A closed vocabulary: a text whose every word is in it can name, date and place nothing, so letting it
pass next to any question tells nothing. Extending it asks for the same care as extending a firewall.
"""

from collections.abc import Collection

from classifiers.views import fold

WORDS = frozenset(
    """
    a about afraid am and any anybody anyone anything apologies apologize appears are as ask at aware
    be been but by can cannot cant come could couldn couldnt did didn didnt do does doesn doesnt don
    dont ever familiar find for from give had hadn have haven havent heard help hm i idea if in info
    information ing is isn isnt it its just knew know knowing knowledge known knows m matter maybe me
    met might mind my name names never no nobody nor not nothing of oh on one or people perhaps person
    please provide question really recall recognise recognize regarding regrettably s say seem seems
    share so somebody someone something sorry specific subject sure t tell that the them there these
    they this those to topic truly um unable unaware unfamiliar unfortunately unknown unsure ve was we
    wasn well were what when where which who whom whose why will wish with would wouldn you your re
    across added anywhere before details further kind more much other than though
    """.split()
)

# At least one of these: a name alone is no decline, it can be the answer to "which of the two?".
MARKS = frozenset(
    """
    afraid cannot cant couldn couldnt didn didnt don dont haven havent never no nobody not nothing
    sorry unable unaware unfamiliar unfortunately unknown unsure
    """.split()
)


def declines(text: str, *, names: Collection[str] = ()) -> bool:
    """Whether every word of a text is of the closed vocabulary or of the given names.

    `names` are names that the question itself used: repeating those tells nothing either.
    """
    allowed = {word for name in names for word in fold(name).split()}
    words = fold(text).split()
    if MARKS.isdisjoint(words):
        return False
    return all(word in WORDS or word in allowed for word in words)
