"""Coverage-guided fuzzing by hand and in CI: `python -m tests.fuzz.run --seconds 60 TARGET`.

Writes an input that breaks a target to the folder given by `--findings` and ends with its number.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]  # has no types

with atheris.instrument_imports(include=["proxy"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    """Fuzz one target for some seconds; libFuzzer prints executions and edges, and exits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(given.target)):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        options = [
            sys.argv[0],
            f"-max_total_time={given.seconds}",
            "-timeout=10",  # seconds for one input
            "-rss_limit_mb=4096",
            "-max_len=1024",
            "-len_control=0",
            "-print_final_stats=1",
            f"-seed={given.seed}",
            f"-artifact_prefix={given.findings}/lethe-{given.target}-",
            corpus,
        ]
        atheris.Setup(options, TARGETS[given.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
