"""What is wrong in a file, and where. Knows neither YAML nor policies."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend: `line` and `column` count from 1, 0 where the whole file is meant.

    `key` is the path of the key (`concepts[0].threshold`), empty for the document itself.
    """

    path: Path
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        """`policies/hp.yaml:8:3: thresold: unknown key; did you mean 'threshold'?`."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else str(self.path)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class PolicyErrors(ValueError):  # noqa: N818 - many in one, as an ExceptionGroup is
    """Everything that is wrong with a set of policies, a line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
