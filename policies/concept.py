"""One concept of a policy file: what it is called, what must not be said, what must stay.

Knows no policy around it, no YAML, no file and no screen.
"""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

Scope = Literal["entity", "fact"]

Short = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\r\n]*$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Part(BaseModel):
    """What all parts of a policy file share: unknown keys are errors, values never change."""

    # Values are forbidden text or close to it: a rejected one is never part of an error.
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True
    )


class TextFile(Part):
    """Texts kept in a file beside the policy."""

    file: Short = Field(
        description="path relative to the policy, inside its folder. `.txt`: every line, cut into "
        'sentences; `.md`: every paragraph and list item likewise; `.jsonl`: `{"text": …}` a line. '
        "Blank lines and lines that begin with `#` are skipped"
    )

    @field_validator("file")
    @classmethod
    def _a_known_kind(cls, file: str) -> str:
        if not file.lower().endswith((".txt", ".md", ".jsonl")):
            raise ValueError("must end in .txt, .md or .jsonl")
        return file


def _text_or_file(value: object) -> str:
    return "<file>" if isinstance(value, dict | TextFile) else "<text>"


TextSource = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[TextFile, Tag("<file>")],
    Discriminator(_text_or_file),
]


def _threshold(value: object) -> float | Literal["auto"]:
    """Read `auto` or a number however it is written: 0.50 reaches us as text."""
    if value == "auto":
        return "auto"
    try:
        number = float(value) if isinstance(value, str | float) or type(value) is int else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise ValueError("must be auto, or a number above 0 and at most 1, such as 0.62")
    return number


Threshold = Annotated[
    float | Literal["auto"],
    PlainValidator(_threshold),
    WithJsonSchema(
        {"anyOf": [{"const": "auto"}, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]}
    ),
]


class Concept(Part):
    """One thing to be forgotten."""

    name: Short = Field(description="what it is called; a name like the aliases", repr=False)
    aliases: tuple[Short, ...] = Field(
        default=(),
        max_length=1000,
        description="other names: spellings, nicknames, titles, what it is known as",
        repr=False,
    )
    scope: Scope = Field(
        default="entity",
        description="`entity`: a name alone is a hit; `fact`: only what resembles an exemplar is, "
        "a name merely makes the instruction relevant",
    )
    exemplars: tuple[TextSource, ...] = Field(
        default=(),
        max_length=5000,
        description="sentences that must not be said, as statements rather than questions",
        repr=False,
    )
    neighbours: tuple[TextSource, ...] = Field(
        default=(),
        max_length=5000,
        description="sentences next to it that must stay sayable; a text nearer to one of these "
        "than to any exemplar is no hit",
        repr=False,
    )
    protected: tuple[TextSource, ...] = Field(
        default=(),
        max_length=1000,
        description="texts whose wording must not be repeated, such as a book: a quotation is 16 "
        "words of its runs of 5 among 40, so that some words may be changed. A file is read whole, "
        "of `.jsonl` a text a line",
        repr=False,
    )
    threshold: Threshold = Field(
        default="auto",
        description="`auto`: all evidence decides (names, likeness, what the exemplars say), in "
        "fact scope and with another encoder a similarity derived from the neighbours and a benign "
        "background; or a similarity to an exemplar, above 0 and at most 1, which decides alone",
    )

    @model_validator(mode="after")
    def _can_be_touched(self) -> "Concept":
        if self.scope == "fact" and not self.exemplars and not self.protected:
            raise ValueError(
                "scope: fact needs exemplars, because a name alone never touches the concept; "
                "add exemplars or protected texts, or use scope: entity"
            )
        if self.neighbours and not self.exemplars:
            raise ValueError(
                "neighbours are compared with exemplars and there are none; add exemplars"
            )
        return self
