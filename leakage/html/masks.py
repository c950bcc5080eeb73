"""Names that tell nothing in place of concepts and probes, unless they may be shown. Knows no page.

A concept's name can be what has to be forgotten, and a probe's id often holds it.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Masks:
    """Numbers names in the order in which they are first asked for."""

    shown: bool = False
    _concepts: dict[str, int] = field(default_factory=dict)
    _probes: dict[str, int] = field(default_factory=dict)

    def concept(self, name: str) -> str:
        """`concept 3`, or the name."""
        number = self._concepts.setdefault(name, len(self._concepts) + 1)
        return name if self.shown else f"concept {number}"

    def probe(self, name: str) -> str:
        """`probe 17`, or the id."""
        number = self._probes.setdefault(name, len(self._probes) + 1)
        return name if self.shown else f"probe {number}"

    def text(self, text: str) -> str:
        """The text, or how long it is: even the lengths of its words would tell."""
        return text if self.shown else f"hidden, {len(text)} characters"
