"""`lethe serve`: from arguments to a listening proxy. Knows no request."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from pydantic import ValidationError

from classifiers import EncoderError
from policies import PolicyErrors, PolicySet
from proxy.app import Door, through
from proxy.audit import AuditError
from proxy.config import (
    AuditConfig,
    Config,
    ConfigError,
    KeySource,
    Listen,
    UpstreamConfig,
    building,
    check_keys,
    compiled,
    read_config,
)
from proxy.protocol import HardenedProtocol
from proxy.reloading import Reloading

KEY_VARIABLE = "LETHE_UPSTREAM_API_KEY"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe serve`."""
    source = parser.add_argument_group("what to serve: one upstream, or a configuration file")
    source.add_argument("--upstream", metavar="URL", help="base URL, ending in /v1")
    source.add_argument("--policies", metavar="DIR", type=Path, help="folder of policy files")
    source.add_argument("--config", metavar="FILE", type=Path, help="lethe.yaml, for more than one")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8484; 0: a free one)")
    parser.add_argument("--audit", metavar="FILE", type=Path, help="where records are appended")
    parser.add_argument(
        "--log-level",
        default="info",
        choices=["debug", "info", "warning", "error"],
        help="how much is logged (%(default)s)",
    )
    parser.set_defaults(run=serve)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted. Returns 2 where something must be mended first."""
    logging.basicConfig(
        level=arguments.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("httpx", "sentence_transformers", "faiss"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Asked to read policies again before there are any: nothing to do, and no reason to end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        config = _config(arguments)
        check_keys(config)
        print(f"lethe: reading policies in {config.policies}", file=sys.stderr)
        policies = compiled(config)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_listen(config, policies))
    except ValidationError as error:
        print(f"lethe serve: {_told(error)}", file=sys.stderr)
        return 2
    except (ValueError, PolicyErrors, AuditError, EncoderError, OSError) as error:
        print(f"lethe serve: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


async def _listen(config: Config, policies: PolicySet) -> None:
    host, port = config.listen.host, config.listen.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    async with building(config, policies) as pipeline:
        door = Door(pipeline, config.entry())
        reloading = Reloading(config, pipeline, door.serve)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.ask)
        server = uvicorn.Server(
            uvicorn.Config(
                through(door),
                host=config.listen.host,
                port=config.listen.port,
                http=HardenedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=20,
                timeout_keep_alive=75,
            )
        )
        modes = [loaded.policy.mode for loaded in policies.policies]
        print(
            f"lethe: {modes.count('enforce')} policies enforce, {modes.count('shadow')} shadow, "
            f"{modes.count('off')} are off; audit in {config.audit.path}; "
            f"listening on http://{host}:{listener.getsockname()[1]}/v1",
            file=sys.stderr,
        )
        if policies.screen.recall < 1:
            print(
                f"lethe: so many exemplars are searched in cells: {policies.screen.recall:.1%} of "
                "the eight nearest are found (docs/speed.md)",
                file=sys.stderr,
            )
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn takes signals while it serves and raises them again when it has stopped;
            # then there is still an audit to be closed.
            signal.signal(number, lambda *_: None)
        await server.serve(sockets=[listener])
        # Whoever is still being answered ends before the audit does.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    print(
        f"lethe: stopped; {config.audit.path} ends with hash {pipeline.audit.last.hash} (note it: "
        "records cut off the end of a file show only against it)",
        file=sys.stderr,
    )


def _config(arguments: argparse.Namespace) -> Config:
    if arguments.config is not None:
        if arguments.upstream or arguments.policies:
            raise ConfigError("give --config, or --upstream and --policies, not both")
        config = read_config(arguments.config)
    elif arguments.upstream and arguments.policies:
        config = _one_upstream(arguments.upstream, arguments.policies)
    else:
        raise ConfigError("give --upstream URL and --policies DIR, or --config FILE")
    given = {"host": arguments.host, "port": arguments.port}
    listen = {name: value for name, value in given.items() if value is not None}
    audit = {} if arguments.audit is None else {"path": arguments.audit}
    return config.model_copy(
        update={
            "listen": Listen(**{**config.listen.model_dump(), **listen}),
            "audit": config.audit.model_copy(update=audit),
        }
    )


def _told(error: ValidationError) -> str:
    """What pydantic found, in its own words less the ceremony."""
    return "; ".join(
        ".".join(map(str, problem["loc"])) + ": " + problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )


def _one_upstream(url: str, policies: Path) -> Config:
    key = KeySource(env=KEY_VARIABLE, file=None) if os.environ.get(KEY_VARIABLE) else None
    try:
        upstream = UpstreamConfig(name="upstream", base_url=url, key=key)
    except ValidationError as error:
        raise ConfigError(f"--upstream: {_told(error)}") from None
    return Config(policies=policies, upstreams=[upstream], listen=Listen(), audit=AuditConfig())
