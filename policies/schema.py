"""The policy file as pydantic models: every key, its bounds and what it means.

Knows no YAML, no file and no screen; the descriptions end up in schema.json and docs/policies.md.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from policies.concept import Concept, Part, Text

Mode = Literal["enforce", "shadow", "off"]
Template = Literal["never-knew", "decline", "few-shot", "none"]
Placement = Literal["system", "developer", "before-last-user"]
PromptAction = Literal["refuse", "redact", "reroute", "flag"]
OutputAction = Literal["refuse", "redact", "regenerate", "reroute", "flag"]
OnError = Literal["refuse", "pass"]
OnDown = Literal["refuse", "original"]
SideChannel = Literal[
    "audio", "chat_template", "echo", "files", "guided", "images", "logit_bias", "logprobs",
    "opaque", "prefill", "server_tools", "stop", "stored", "tokens",
]  # fmt: skip

SIDE_CHANNELS: Mapping[SideChannel, str] = {
    "audio": "spoken input and output, which no screen hears",
    "chat_template": "a template or documents that the client renders the conversation with",
    "echo": "the prompt returned as part of the answer",
    "files": "attached files and embeddings, which no screen reads",
    "guided": "grammars, choices and token lists that put words into the model's mouth",
    "images": "pictures, which no screen looks at",
    "logit_bias": "weights that make the model prefer chosen tokens",
    "logprobs": "tokens that the model considered and did not say",
    "opaque": "signed or encrypted values, which only the upstream can read",
    "prefill": "the beginning of the answer, written by the client",
    "server_tools": "tools that the upstream runs itself: what they find goes into the model",
    "stop": "sequences that end an answer, and so tell what it contained",
    "stored": "conversations that the upstream keeps and gives out again",
    "tokens": "text given as numbers of tokens, which no screen reads",
}

PLACEHOLDERS = ("{concepts}", "{names}")
REQUEST_LENGTH = 4000  # characters as JSON: the block stands in every audit record

Glob = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AppliesTo(Part):
    """Which requests a policy applies to: all three must match."""

    models: tuple[Glob, ...] = Field(
        default=("*",), min_length=1, max_length=200, description="model names, as globs: `gpt-4*`"
    )
    routes: tuple[Glob, ...] = Field(
        default=("*",),
        min_length=1,
        max_length=200,
        description="wire paths, as globs: `/v1/chat/completions`",
    )
    tenants: tuple[Glob, ...] = Field(
        default=("*",), min_length=1, max_length=200, description="tenants of the proxy, as globs"
    )

    @field_validator("routes")
    @classmethod
    def _paths(cls, routes: tuple[str, ...]) -> tuple[str, ...]:
        for route in routes:
            if not route.startswith(("/", "*")):
                raise ValueError("a route is a path: it begins with / or *")
        return routes


class Instruction(Part):
    """What the model is asked when a concept is near the conversation."""

    template: Template = Field(
        default="never-knew",
        description="`never-knew`: behave as if it had never been heard of; `decline`: say "
        "politely that one cannot help with it; `few-shot`: never-knew with examples; `none`: "
        "inject nothing",
    )
    text: Annotated[str, StringConstraints(min_length=1, max_length=8000)] | None = Field(
        default=None,
        description="a wording of your own instead of a template; `{concepts}` stands where the "
        "near concepts are listed with their other names, `{names}` where the names alone stand "
        "in a sentence",
        repr=False,
    )
    placement: Placement = Field(
        default="system",
        description="`system` or `developer`: that message, at the beginning; `before-last-user`: "
        "a message directly before the last user turn",
    )

    @field_validator("text")
    @classmethod
    def _names_the_concepts(cls, text: str | None) -> str | None:
        if text is None:
            return None
        for placeholder in re.findall(r"\{[A-Za-z_]+\}", text):
            if placeholder not in PLACEHOLDERS:
                raise ValueError(f"unknown placeholder; there are {' and '.join(PLACEHOLDERS)}")
        if not any(placeholder in text for placeholder in PLACEHOLDERS):
            raise ValueError(
                f"must say where the concepts are named, with {' or '.join(PLACEHOLDERS)}"
            )
        return text

    @model_validator(mode="after")
    def _one_wording(self) -> "Instruction":
        if self.text is not None and "template" in self.model_fields_set:
            raise ValueError("template and text exclude each other; keep one of them")
        return self


Upstream = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


def _destination(to: str | None, info: ValidationInfo) -> str | None:
    action = info.data.get("action")
    if action == "reroute" and to is None:
        raise ValueError("action: reroute needs an upstream; add to: with its configured name")
    if action not in ("reroute", None) and to is not None:
        raise ValueError("only action: reroute sends elsewhere; remove it, or use that action")
    return to


def _only_rerouted(on_down: OnDown, info: ValidationInfo) -> OnDown:
    if info.data.get("action") not in ("reroute", None):
        raise ValueError("only action: reroute asks elsewhere; remove it, or use that action")
    return on_down


TO = (
    "name of the upstream that answers instead, with `action: reroute`; what is hit in its answer "
    "too is refused"
)
ON_DOWN = (
    "when that upstream fails before its first word: `refuse`, or ask the `original` after all, "
    "told to pretend in stronger words and screened; what is hit then is refused"
)


class PromptScreen(Part):
    """What happens when something forbidden goes in."""

    action: PromptAction = Field(
        default="refuse",
        description="`refuse`: answer as someone who does not know, without asking the model; "
        "`redact`: remove the sentences and ask; `reroute`: ask another upstream; `flag`: ask as "
        "usual and record",
    )
    to: Upstream | None = Field(default=None, description=TO, validate_default=True)
    on_down: OnDown = Field(default="refuse", description=ON_DOWN)
    history: Literal["around", "refuse"] = Field(
        default="around",
        description="what a hit in a turn before the last question means: `around`: its sentences "
        "are left out and the rest is answered; `refuse`: the same as in the question itself, so "
        "that the conversation can only begin anew",
    )

    _to = field_validator("to")(_destination)
    _on_down = field_validator("on_down")(_only_rerouted)

    @field_validator("action", mode="before")
    @classmethod
    def _not_ours_to_rewrite(cls, action: object) -> object:
        if action == "regenerate":
            raise ValueError(
                "a prompt cannot be regenerated, because the client wrote it; "
                "use refuse, redact, reroute or flag"
            )
        return action


class OutputScreen(Part):
    """What happens when something forbidden would come out."""

    action: OutputAction = Field(
        default="refuse",
        description="`refuse`: answer as someone who does not know; `redact`: leave the sentences "
        "out; `regenerate`: ask again with a stronger instruction, then refuse; `reroute`: ask "
        "another upstream; `flag`: let it pass and record",
    )
    attempts: int = Field(
        default=2,
        ge=1,
        le=5,
        strict=True,
        description="how often a model is asked again with `action: regenerate`",
    )
    to: Upstream | None = Field(default=None, description=TO, validate_default=True)
    on_down: OnDown = Field(default="refuse", description=ON_DOWN)

    _to = field_validator("to")(_destination)
    _on_down = field_validator("on_down")(_only_rerouted)

    @field_validator("attempts")
    @classmethod
    def _only_asking_again(cls, attempts: int, info: ValidationInfo) -> int:
        if info.data.get("action") not in ("regenerate", None):
            raise ValueError("only action: regenerate asks again; remove it, or use that action")
        return attempts


class Screens(Part):
    """What follows from a hit, in each direction."""

    prompt: PromptScreen = Field(default=PromptScreen(), description="what goes in")
    output: OutputScreen = Field(default=OutputScreen(), description="what comes out")


class Release(Part):
    """How a streamed answer is held back until it is cleared."""

    max_segment: int = Field(
        default=400,
        ge=40,
        le=4000,
        strict=True,
        description="characters after which a sentence without an end is judged all the same",
    )
    max_held: int = Field(
        default=8000,
        ge=400,
        le=1_000_000,
        strict=True,
        description="characters held back at most before the answer is refused",
    )
    redaction: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
        default="[…]", description="what stands in place of a sentence that was left out"
    )

    @field_validator("max_held")
    @classmethod
    def _room_for_a_segment(cls, held: int, info: ValidationInfo) -> int:
        if held < info.data.get("max_segment", 0):
            raise ValueError("must not be smaller than max_segment")
        return held


def _wordings(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Wording = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_LINE = {"type": "string", "minLength": 1, "maxLength": 1000}
Refusal = Annotated[
    tuple[Wording, ...],
    Field(max_length=50),
    BeforeValidator(_wordings),
    WithJsonSchema({"anyOf": [_LINE, {"type": "array", "items": _LINE, "maxItems": 50}]}),
]


class Case(Part):
    """A text that a policy is tried on."""

    text: Text = Field(description="what goes in, or comes out", repr=False)
    before: Annotated[str, StringConstraints(max_length=2000)] = Field(
        default="", description="the question that the text answers", repr=False
    )


def _text_or_case(value: object) -> str:
    return "<case>" if isinstance(value, dict | Case) else "<text>"


Cases = tuple[
    Annotated[
        Annotated[Text, Tag("<text>")] | Annotated[Case, Tag("<case>")],
        Discriminator(_text_or_case),
    ],
    ...,
]


class Policy(Part):
    """What must be forgotten, for whom, and what happens when it comes up: one file, one policy."""

    id: str = Field(
        description="its name in audit records and metrics; small letters, digits and hyphens",
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
    )
    description: str = Field(default="", max_length=2000, description="what it is for, for people")
    applies_to: AppliesTo = Field(
        default=AppliesTo(), description="which requests it applies to; all by default"
    )
    mode: Mode = Field(
        default="enforce",
        description="`enforce`: act; `shadow`: judge and record, change nothing; `off`: nothing",
    )
    concepts: tuple[Concept, ...] = Field(
        min_length=1, max_length=5000, description="what must be forgotten"
    )
    instruction: Instruction = Field(
        default=Instruction(), description="what the model is asked to pretend"
    )
    screens: Screens = Field(default=Screens(), description="what follows from a hit")
    refusal: Refusal = Field(
        default=(),
        description="wordings of a refusal, one or several; by default those of the proxy. None "
        "may hold a concept's name",
    )
    release: Release = Field(
        default=Release(), description="how an answer is held back and redacted"
    )
    allow: tuple[SideChannel, ...] = Field(
        default=(),
        max_length=len(SIDE_CHANNELS),
        description="side channels that may pass unscreened, by name. "
        + "; ".join(f"`{name}`: {meaning}" for name, meaning in SIDE_CHANNELS.items()),
    )
    on_error: OnError = Field(
        default="refuse",
        description="when a screen cannot answer: `refuse` the request, or let it `pass`",
    )
    must_block: Cases = Field(
        default=(),
        max_length=10_000,
        description="texts that must be a hit: `lethe policy test` tries them",
        repr=False,
    )
    must_pass: Cases = Field(
        default=(), max_length=10_000, description="texts that must be none", repr=False
    )
    request: dict[str, Any] = Field(
        default_factory=dict,
        description="the request that this policy answers, free in form, kept as written and "
        "copied into every audit record",
        json_schema_extra={
            "properties": {
                "ticket": {"description": "where the request is handled"},
                "received": {"description": "the day it came in"},
                "deadline": {"description": "the day it must be answered by"},
                "legal_basis": {"description": "what it rests on, such as GDPR Art. 17(1)(b)"},
            }
        },
        repr=False,
    )

    @field_validator("id")
    @classmethod
    def _an_id(cls, identifier: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", identifier):
            raise ValueError(
                "must be 1 to 64 small letters, digits and hyphens, and not begin with a hyphen"
            )
        return identifier

    @field_validator("request")
    @classmethod
    def _fits_a_record(cls, request: dict[str, Any]) -> dict[str, Any]:
        try:
            length = len(json.dumps(request, allow_nan=False))
        except (TypeError, ValueError):
            raise ValueError("must hold JSON values only: text, numbers, lists, mappings") from None
        if length > REQUEST_LENGTH:
            raise ValueError(
                f"must not exceed {REQUEST_LENGTH} characters as JSON, because every audit record "
                "holds it; keep a ticket number here and the rest elsewhere"
            )
        return request


def json_schema() -> str:
    """The JSON Schema of a policy file, as schema.json holds it."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(described | Policy.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
