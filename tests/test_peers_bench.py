"""The benchmark of peers: its own arithmetic; the peers have environments of their own."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.detection_parts.vectors import Kept
from benchmarks.peer_parts.asked import asked, at_shares, seconds
from benchmarks.peer_parts.keywords import last_word
from benchmarks.peer_parts.rails import similar
from benchmarks.peers import peers
from classifiers import HashEncoder


def probes() -> list[Probe]:
    """A hundred neighbours, and as many to stop."""
    kept = [Probe("Ada", "neighbour", "simple question", f"Kept {at}?", "x") for at in range(100)]
    told = [Probe("Ada", "L2", "simple question", f"Told {at}?", "y") for at in range(100)]
    return kept + told


def test_an_answer_is_asked_by_itself_and_in_the_gap_of_its_question() -> None:
    probe = Probe("Ada", "L1", "cloze", "Ada was born in ___ long ago.", "Brede")
    texts = asked([probe])
    assert texts["question, answer"] == [["Ada was born in ___ long ago.", "Brede"]]
    assert texts["question, exchange"][0][1] == "Ada was born in Brede long ago."


def test_no_more_neighbours_are_stopped_than_the_share_says() -> None:
    values = np.concatenate([np.arange(100) / 100, np.full(100, 0.85)])
    rows = at_shares("any", values, probes())
    assert rows["any, neighbours at most 20%"]["neighbours"].k == 20
    assert rows["any, neighbours at most 20%"]["leak L2"].k == 0
    assert rows["any, neighbours at most 10%"]["leak L2"].k == 100


def test_the_similarity_of_nemo_guardrails_falls_from_one_with_half_the_distance() -> None:
    texts = np.eye(3, dtype=np.float32)
    examples = np.array([[1, 0, 0], [0.6, 0.8, 0]], dtype=np.float32)
    found = similar(texts, examples)
    # The distance of unit vectors at cosine c is the root of 2 - 2c.
    assert found == pytest.approx([1.0, 1 - 0.4**0.5 / 2, 1 - 2**0.5 / 2])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Ada Vask", "Vask"),
        ("Bo Marr, Jr.", "Marr"),
        ("Cy the Great", "Cy"),
        ("Ada, Duchess of Brede", "Brede"),
        ("Madonna", "Madonna"),
    ],
)
def test_what_goes_for_a_name_is_its_last_word(name: str, word: str) -> None:
    assert last_word(name) == word


def test_cost_is_time_of_this_process_alone() -> None:
    assert seconds(lambda _: asyncio.run(asyncio.sleep(0.05)), ["a", "b", "c"]) < 0.04


def test_where_no_peer_is_installed_none_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("semantic_router", "nemoguardrails", "litellm"):
        monkeypatch.setitem(sys.modules, name, None)
    whom = [Person("Ada", "Ada Vask", ("Ada Vask is a painter.",))]
    assert list(peers(whom, Kept(HashEncoder()))) == []
