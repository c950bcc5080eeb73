"""`lethe.yaml`: what an operator sets, read strictly, and the parts that it describes.

Knows no request. Every key is described here and in docs/deploying.md; unknown ones are errors.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from classifiers import load as load_encoder
from policies import PolicySet, compile_policies, load_folder, read
from proxy.app import Entry
from proxy.audit import Audit
from proxy.passthrough import OPENABLE, Opening
from proxy.pipeline import Pipeline
from proxy.screening import Screening
from proxy.upstream import Limits, Upstream
from proxy.upstreams import Upstreams

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]

# Seconds that an idle connection is used again: a question sent down one that the server is just
# closing fails, and common servers of models close theirs after 5 s (uvicorn, Node).
KEPT_S = 4.0


class ConfigError(ValueError):
    """A configuration that cannot be served, with every problem on a line of its own."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySource(_Part):
    """Where an upstream's key comes from: an environment variable or a file, never the YAML."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(default=None, description="path of a file that holds the key alone")


class UpstreamConfig(_Part):
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


class Listen(_Part):
    """Where the proxy listens, and what it lets in."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(
        default=8484, ge=0, le=65_535, description="port to listen on; 0 picks a free one"
    )
    hosts: list[str] = Field(
        default_factory=list, description="accepted Host headers, without port; empty accepts any"
    )
    body_bytes: Bytes = Field(default=1 << 20, description="size of a request body")
    body_depth: int = Field(default=64, ge=4, le=256, description="nesting of its JSON")
    receive_s: Seconds = Field(
        default=30.0, description="seconds in which a body must have arrived"
    )


class AuditConfig(_Part):
    """Where records go."""

    path: Path = Field(default=Path("lethe.audit.jsonl"), description="the file, appended to")
    fsync: bool = Field(
        default=False, description="force each record to the disk before the answer ends"
    )
    text: bool = Field(
        default=False, description="keep prompts and answers too: then the file is secret"
    )


class Tenant(_Part):
    """A tenant and its keys. Make a digest: `printf %s KEY | sha256sum`."""

    name: Name = Field(description="its name in policies and in the audit")
    key_sha256: list[Digest] = Field(min_length=1, description="SHA-256 digests of its keys")


class OpenPath(_Part):
    """A path that is passed on as it is, unscreened."""

    path: str = Field(
        pattern=OPENABLE, description="below /v1, as `/v1/files`; `/v1/files/*` is all below it"
    )
    methods: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = Field(
        min_length=1, description="methods that are open"
    )


class Config(_Part):
    """Everything that `lethe serve` needs."""

    policies: Path = Field(description="folder of policy files")
    upstreams: list[UpstreamConfig] = Field(min_length=1, description="where requests go")
    default: Literal["pass", "refuse"] = Field(
        default="pass", description="what happens to a request that no policy applies to"
    )
    encoder: str = Field(
        default="embedded", description="a sentence-transformers model, or `embedded`"
    )
    screen_s: Seconds = Field(default=30.0, description="seconds that a screen may take to answer")
    listen: Listen = Field(default=Listen(), description="where the proxy listens")
    audit: AuditConfig = Field(default=AuditConfig(), description="where records go")
    tenants: list[Tenant] = Field(
        default_factory=list, description="who may ask; empty asks for no key"
    )
    passthrough: list[OpenPath] = Field(
        default_factory=list,
        description="paths passed on to the first upstream unscreened, and on record as that",
    )

    def entry(self) -> Entry:
        """What the front door lets in."""
        return Entry(
            body_bytes=self.listen.body_bytes,
            body_depth=self.listen.body_depth,
            receive_s=self.listen.receive_s,
            hosts=frozenset(host.lower() for host in self.listen.hosts),
            openings=tuple(Opening(o.path, frozenset(o.methods)) for o in self.passthrough),
            tenants={tenant.name: tuple(tenant.key_sha256) for tenant in self.tenants},
        )


def read_config(path: Path) -> Config:
    """Read a configuration file; relative paths in it are relative to it. Raises ConfigError."""
    config, problems = read(path, Config)
    if config is None or problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    folder = path.parent
    audit = config.audit.model_copy(update={"path": folder / config.audit.path})
    upstreams = [_from(folder, upstream) for upstream in config.upstreams]
    return config.model_copy(
        update={"policies": folder / config.policies, "audit": audit, "upstreams": upstreams}
    )


def key_of(source: KeySource | None) -> str | None:
    """Read a key from where it is kept. Raises ConfigError, which never holds the key."""
    if source is None:
        return None
    if source.env is not None and source.file is None:
        key, place = os.environ.get(source.env, ""), f"environment variable {source.env}"
    elif source.file is None or source.env is not None:
        raise ConfigError("key: give either env or file")
    else:
        try:
            key, place = source.file.read_text("utf-8"), f"file {source.file}"
        except OSError as error:
            raise ConfigError(f"key: {source.file}: {error.strerror}") from None
    key = key.strip()
    if not key or not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ConfigError(f"key: {place} holds no usable key")
    return key


def check_keys(config: Config) -> None:
    """Read every key once, before minutes go into policies. Raises ConfigError with the name."""
    for upstream in config.upstreams:
        try:
            key_of(upstream.key)
        except ConfigError as error:
            raise ConfigError(f"upstream '{upstream.name}': {error}") from None


@asynccontextmanager
async def building(
    config: Config,
    policies: PolicySet,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Pipeline]:
    """Put a pipeline together and take it down again.

    Raises ConfigError or AuditError before anything is served. `transport` stands in for the
    network in tests.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(transport))
        upstreams = Upstreams([_upstream(upstream, client) for upstream in config.upstreams])
        _check_routes(policies, upstreams)
        audit = Audit.open(config.audit.path, fsync=config.audit.fsync)
        stack.callback(audit.close)
        screening = Screening(policies.screen, timeout_s=config.screen_s)
        stack.push_async_callback(screening.close)
        yield Pipeline(
            policies=policies,
            screening=screening,
            upstreams=upstreams,
            audit=audit,
            default=config.default,
            keep_text=config.audit.text,
        )


def compiled(config: Config) -> PolicySet:
    """The folder's policies as one screen. Raises PolicyErrors, and ConfigError where none is."""
    loaded = load_folder(config.policies)
    if not loaded:
        raise ConfigError(f"{config.policies}: no policy file (*.yaml) is in this folder")
    return compile_policies(loaded, load_encoder(config.encoder))


def _client(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """One client for all upstreams: as many connections as requests, and no memory of cookies."""

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    client = httpx.AsyncClient(
        transport=transport or AiohttpTransport(client=session),
        follow_redirects=False,
        trust_env=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _check_routes(policies: PolicySet, upstreams: Upstreams) -> None:
    """Every upstream that a policy reroutes to must exist before the first request asks for it."""
    for loaded in policies.policies:
        for screen in (loaded.policy.screens.prompt, loaded.policy.screens.output):
            if screen.to is not None and screen.to not in upstreams.names():
                known = ", ".join(sorted(upstreams.names()))
                raise ConfigError(
                    f"{loaded.path}: reroute to '{screen.to}': no such upstream; there are: {known}"
                )


def _upstream(config: UpstreamConfig, client: httpx.AsyncClient) -> Upstream:
    return Upstream(
        name=config.name,
        base_url=config.base_url,
        client=client,
        key=key_of(config.key),
        api=config.api,
        models=config.models,
        limits=Limits(
            connect_s=config.connect_s,
            idle_s=config.idle_s,
            answer_s=config.answer_s,
            event_bytes=config.event_bytes,
            answer_bytes=config.answer_bytes,
        ),
    )


def _from(folder: Path, upstream: UpstreamConfig) -> UpstreamConfig:
    if upstream.key is None or upstream.key.file is None:
        return upstream
    key = upstream.key.model_copy(update={"file": folder / upstream.key.file})
    return upstream.model_copy(update={"key": key})
