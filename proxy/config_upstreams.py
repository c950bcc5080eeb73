"""What an operator says about an upstream: where, under which key and names, which weights.

Knows no request and no network.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from proxy.lineage import Role

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_*?-]{1,64}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]


class Part(BaseModel):
    """What all parts of a configuration share: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySource(Part):
    """Where an upstream's key comes from: an environment variable or a file, never the YAML."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(default=None, description="path of a file that holds the key alone")


class LineageConfig(Part):
    """Which weights an upstream serves."""

    file: Path | None = Field(default=None, description="the `lineage.json` of its weights")
    sha256: Digest | None = Field(
        default=None, description="SHA-256 of that file, where it lies elsewhere or must not change"
    )

    @model_validator(mode="after")
    def _something(self) -> "LineageConfig":
        if self.file is None and self.sha256 is None:
            raise ValueError("needs file:, sha256:, or both")
        return self


class UpstreamConfig(Part):
    """One upstream by name."""

    name: Name = Field(description="its name in policies and in the audit")
    base_url: str = Field(description="as the OpenAI SDK writes it, ending in /v1")
    api: Literal["openai", "anthropic"] = Field(
        default="openai", description="how it is signed in to: a bearer token, or `x-api-key`"
    )
    key: KeySource | None = Field(default=None, description="where its key comes from")
    models: dict[str, str] = Field(
        default_factory=dict,
        description="public model name: the upstream's name; left out, it serves every name",
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="the upstream's name of what answers where a policy, a comparison or the "
        "mirror sends a request here, and no name that it publishes",
    )
    tenants: list[Glob] = Field(
        default=["*"], min_length=1, description="who may ask for its models by name, as globs"
    )
    role: Role = Field(
        default="original",
        description="`original`: it may know everything; `unlearned`: its weights were changed to "
        "forget; `retrained`: trained without; `private`: trained with differential privacy; "
        "`other`",
    )
    lineage: LineageConfig | None = Field(default=None, description="which weights it serves")
    instruct: bool = Field(
        default=True, description="put the policies' instructions into what is sent here"
    )
    connect_s: Seconds = Field(default=10.0, description="seconds to connect")
    idle_s: Seconds = Field(default=60.0, description="seconds between two pieces of an answer")
    answer_s: Seconds = Field(default=600.0, description="seconds for a whole answer")
    event_bytes: Bytes = Field(default=1 << 20, description="size of one streamed event")
    answer_bytes: Bytes = Field(default=1 << 25, description="size of a whole answer")

    @field_validator("base_url")
    @classmethod
    def _a_base_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment; a key has its own")
        if not parts.path.rstrip("/").endswith("/v1"):
            raise ValueError("must end in /v1, as the OpenAI SDK writes base_url")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("must name a port from 0 to 65535, or none") from None
        return url.rstrip("/")
