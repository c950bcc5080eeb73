"""`lethe leakage …` in this process, for tests."""

import argparse
from pathlib import Path

from leakage import cli


def lethe_leakage(*words: str | Path) -> int:
    """Run it. Returns the exit status."""
    parser = argparse.ArgumentParser()
    cli.register(parser)
    parsed = parser.parse_args([str(word) for word in words])
    status: int = parsed.run(parsed)
    return status
