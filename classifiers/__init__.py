"""Does this text touch a concept? Texts in, verdicts out. Knows no policy, no HTTP, no tenant."""

from classifiers.encoder import Encoder, EncoderError, load
from classifiers.hashing import HashEncoder
from classifiers.screen import Screen
from classifiers.segments import Segmenter, segment, windows, windows_at
from classifiers.verbatim import Verbatim
from classifiers.verdict import Concept, Passage, Span, Verdict
from classifiers.views import UnreadableError, fold, views

__all__ = [
    "Concept",
    "Encoder",
    "EncoderError",
    "HashEncoder",
    "Passage",
    "Screen",
    "Segmenter",
    "Span",
    "UnreadableError",
    "Verbatim",
    "Verdict",
    "fold",
    "load",
    "segment",
    "views",
    "windows",
    "windows_at",
]
