"""`lethe.yaml`: what an operator sets, read strictly, and the parts that it describes.

Knows no request. Every key is described here and in docs/deploying.md; unknown ones are errors.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Literal

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import Field

from classifiers import load as load_encoder
from policies import PolicySet, compile_policies, load_folder
from policies.border import validate
from policies.document import KeyPath, parse, written
from proxy.app import Entry
from proxy.audit import Audit
from proxy.config_arms import CompareConfig, MirrorConfig, contradictions, reroute_problem
from proxy.config_upstreams import (
    Bytes,
    Digest,
    KeySource,
    LineageConfig,
    Name,
    Part,
    Seconds,
    UpstreamConfig,
)
from proxy.lineage import Lineage, LineageError
from proxy.lineage import read as read_lineage
from proxy.mirror import Mirror
from proxy.passthrough import OPENABLE, Opening
from proxy.pipeline import Pipeline
from proxy.screening import Screening
from proxy.upstream import Limits, Upstream
from proxy.upstreams import Upstreams

__all__ = ["AuditConfig", "Config", "KeySource", "Listen", "UpstreamConfig", "building", "compiled"]

# Seconds that an idle connection is used again: a question sent down one that the server is just
# closing fails, and common servers of models close theirs after 5 s (uvicorn, Node).
KEPT_S = 4.0


class ConfigError(ValueError):
    """A configuration that cannot be served, with every problem on a line of its own."""


class Listen(Part):
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


class AuditConfig(Part):
    """Where records go."""

    path: Path = Field(default=Path("lethe.audit.jsonl"), description="the file, appended to")
    fsync: bool = Field(
        default=False, description="force each record to the disk before the answer ends"
    )
    text: bool = Field(
        default=False, description="keep prompts and answers too: then the file is secret"
    )


class Tenant(Part):
    """A tenant and its keys. Make a digest: `printf %s KEY | sha256sum`."""

    name: Name = Field(description="its name in policies and in the audit")
    key_sha256: list[Digest] = Field(min_length=1, description="SHA-256 digests of its keys")


class OpenPath(Part):
    """A path that is passed on as it is, unscreened."""

    path: str = Field(
        pattern=OPENABLE, description="below /v1, as `/v1/files`; `/v1/files/*` is all below it"
    )
    methods: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = Field(
        min_length=1, description="methods that are open"
    )


class Config(Part):
    """Everything that `lethe serve` needs."""

    policies: Path = Field(description="folder of policy files")
    upstreams: list[UpstreamConfig] = Field(min_length=1, description="where requests go")
    default: Literal["pass", "refuse"] = Field(
        default="pass", description="what happens to a request that no policy applies to"
    )
    encoder: str = Field(
        default="embedded",
        description="a sentence-transformers model, an export's folder, or `embedded`",
    )
    cascade: bool = Field(
        default=True,
        description="whether what shares too few words with every concept is cleared unencoded",
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
    compare: CompareConfig | None = Field(
        default=None, description="one request to several arms; left out, nobody may"
    )
    mirror: MirrorConfig | None = Field(
        default=None, description="a share of live traffic, asked of a second upstream too"
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
            comparing=None if self.compare is None else self.compare.comparing(),
        )


def read_config(path: Path) -> Config:
    """Read a configuration file; relative paths in it are relative to it. Raises ConfigError."""
    document = parse(path)
    config, problems = validate(document, Config)
    folder = path.parent
    if config is not None:
        found = [*_contradictions(config), *_lineages(config, folder)]
        problems = [document.problem(at, message) for at, message in found]
    if config is None or problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    audit = config.audit.model_copy(update={"path": folder / config.audit.path})
    upstreams = [_from(folder, upstream) for upstream in config.upstreams]
    return config.model_copy(
        update={"policies": folder / config.policies, "audit": audit, "upstreams": upstreams}
    )


def _contradictions(config: Config) -> Iterator[tuple[KeyPath, str]]:
    tenants = [tenant.name for tenant in config.tenants]
    return contradictions(
        config.upstreams, compare=config.compare, mirror=config.mirror, tenants=tenants
    )


def _lineages(config: Config, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with lineage files: read before anything is served, not with the first hit."""
    for number, upstream in enumerate(config.upstreams):
        try:
            _lineage(upstream.lineage, folder)
        except LineageError as error:
            yield ("upstreams", number, "lineage", "file"), str(error)


def _lineage(wanted: LineageConfig | None, folder: Path = Path()) -> Lineage | None:
    if wanted is None:
        return None
    if wanted.file is None:
        return Lineage(wanted.sha256 or "")
    return read_lineage(folder / wanted.file, digest=wanted.sha256)


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
        if found := list(_contradictions(config)):
            raise ConfigError("\n".join(f"{written(at)}: {message}" for at, message in found))
        _check_routes(policies, config)
        upstreams = Upstreams([_upstream(upstream, client) for upstream in config.upstreams])
        audit = Audit.open(config.audit.path, fsync=config.audit.fsync)
        stack.callback(audit.close)
        screening = Screening(policies.screen, timeout_s=config.screen_s)
        stack.push_async_callback(screening.close)
        mirror = None
        if config.mirror is not None:
            mirror = Mirror(
                config.mirror.mirroring(),
                policies=policies,
                screening=screening,
                upstreams=upstreams,
                audit=audit,
            )
            stack.push_async_callback(mirror.close)
        yield Pipeline(
            policies=policies,
            screening=screening,
            upstreams=upstreams,
            audit=audit,
            default=config.default,
            keep_text=config.audit.text,
            mirror=mirror,
        )


def compiled(config: Config, *, like: PolicySet | None = None) -> PolicySet:
    """The folder's policies as one screen. Raises PolicyErrors, and ConfigError where none is.

    like  policies that may go on being used: their encoder is, and what has not changed is shared
    """
    loaded = load_folder(config.policies)
    if not loaded:
        raise ConfigError(f"{config.policies}: no policy file (*.yaml) is in this folder")
    encoder = like.screen.encoder if like else load_encoder(config.encoder)
    policies = compile_policies(loaded, encoder, cascade=config.cascade, like=like)
    if like:  # at the start `building` looks, behind what is wrong with the configuration
        _check_routes(policies, config)
    return policies


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


def _check_routes(policies: PolicySet, config: Config) -> None:
    """Every reroute must lead to a model that forgot, before the first request asks for it."""
    known = {upstream.name: upstream for upstream in config.upstreams}
    problems = []
    for loaded in policies.policies:
        screens = loaded.policy.screens
        for channel, screen in (("prompt", screens.prompt), ("output", screens.output)):
            problem = screen.to and reroute_problem(screen.to, known)
            if problem:
                # Read again for the line: policies do not carry it.
                document = parse(loaded.path)
                problems.append(document.problem(("screens", channel, "to"), problem))
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in sorted(problems)))


def _upstream(config: UpstreamConfig, client: httpx.AsyncClient) -> Upstream:
    return Upstream(
        name=config.name,
        base_url=config.base_url,
        client=client,
        key=key_of(config.key),
        api=config.api,
        models=config.models,
        model=config.model,
        tenants=tuple(config.tenants),
        role=config.role,
        lineage=_lineage(config.lineage),
        instruct=config.instruct,
        limits=Limits(
            connect_s=config.connect_s,
            idle_s=config.idle_s,
            answer_s=config.answer_s,
            event_bytes=config.event_bytes,
            answer_bytes=config.answer_bytes,
        ),
    )


def _from(folder: Path, upstream: UpstreamConfig) -> UpstreamConfig:
    """Paths of keys and lineage files, relative to the configuration."""
    sources = {"key": upstream.key, "lineage": upstream.lineage}
    moved = {
        name: source.model_copy(update={"file": folder / source.file})
        for name, source in sources.items()
        if source is not None and source.file is not None
    }
    return upstream.model_copy(update=moved)
