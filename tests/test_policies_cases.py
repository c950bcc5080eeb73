"""Wrong policy files and the exact lines that an author reads about them.

A case is a file of tests/cases/policies; its lines that begin with `#! ` are what lint must print.
"""

from pathlib import Path

import pytest

from policies import PolicyErrors, load

CASES = sorted((Path(__file__).parent / "cases" / "policies").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_wrong_file_is_told_where_what_and_what_to_do(path: Path) -> None:
    with pytest.raises(PolicyErrors) as raised:
        load([path])
    marked = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#! ")]
    told = [str(problem) for problem in raised.value.problems]
    separators = {True: ":", False: ": "}
    assert told == [
        f"{path}{separators[line[3].isdigit()]}{line.removeprefix('#! ')}" for line in marked
    ]
