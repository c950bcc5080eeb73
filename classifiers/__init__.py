"""Does this text touch a concept? Texts in, verdicts out. Knows no policy, no HTTP, no tenant."""

from classifiers.encoder import Encoder, EncoderError, load
from classifiers.hashing import HashEncoder
from classifiers.screen import Screen
from classifiers.segments import Segmenter, segment, windows
from classifiers.verbatim import Verbatim
from classifiers.verdict import Concept, Passage, Span, Verdict
from classifiers.views import fold, views

__all__ = [
    "Concept",
    "Encoder",
    "EncoderError",
    "HashEncoder",
    "Passage",
    "Screen",
    "Segmenter",
    "Span",
    "Verbatim",
    "Verdict",
    "fold",
    "load",
    "segment",
    "views",
    "windows",
]
