"""The command line: composes the sub-commands of the five packages, imports them lazily.

Knows nothing of what they do.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version

__version__ = "0.1.0"

DISTRIBUTION = "lethe-proxy"
PACKAGES = ("proxy", "policies", "classifiers", "leakage", "unlearning")

# Name: (module with a `register`, one line for the help).
COMMANDS = {
    "demo": ("leakage_demo", "see it work: a fact book that tells everything, and Lethe before it"),
    "serve": ("proxy.cli", "put the proxy in front of a chat API"),
    "policy": ("policies.cli", "check and explain policies"),
    "leakage": ("leakage.cli", "measure how much still comes out"),
    "unlearning": ("unlearning.cli", "models to compare with, and the fact book of the demo"),
    "audit": ("proxy.audit_cli", "verify the record of what was done"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status; 2 where the command line makes no sense."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if clash := _clash():
        print(f"lethe: {clash}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(
        prog="lethe", description="Guardrail unlearning for LLM APIs, and its measure."
    )
    parser.add_argument("--version", action="version", version=f"lethe {_version()}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == wanted:
            importlib.import_module(module).register(command)
    parsed = parser.parse_args(given)
    status: int = parsed.run(parsed)
    return status


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return __version__


def _clash() -> str | None:
    """Another distribution that owns one of our import names: pip overwrites without a word."""
    owners = packages_distributions()
    for package in PACKAGES:
        for owner in owners.get(package, ()):
            if owner.lower() != DISTRIBUTION:
                return (
                    f"'{owner}' is installed too and owns the import name '{package}'; "
                    f"install {DISTRIBUTION} into an environment of its own"
                )
    return None


if __name__ == "__main__":
    sys.exit(main())
