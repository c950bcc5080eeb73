"""What goes in, cut into passages: nothing is lost between two of them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Request
from proxy.formats import chat
from proxy.prompt import RUN, cut

SENTENCE = "The ferry left the harbour late again. "


def request(*texts: str, **fields: Any) -> Request:
    messages = [{"role": "user", "content": text} for text in texts]
    return chat.read({"model": "m", "messages": messages, **fields})


def test_a_long_text_is_judged_in_parts_that_overlap() -> None:
    text = SENTENCE * 200
    parts = cut(request(text), longest=12)
    assert len(parts) > 5
    for part in parts:
        assert text.startswith(part.passage.text, part.offset)
        assert len(part.passage.windows) <= 2 * RUN


@given(st.integers(0, 400), st.integers(0, 3))
def test_a_name_is_whole_in_some_part_wherever_it_stands(before: int, hidden: int) -> None:
    name = "Otto" + "\u200b" * hidden + "line\nVask"
    text = SENTENCE * before + name + ". " + SENTENCE * 50
    assert any(name in part.passage.text for part in cut(request(text), longest=13))


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5))
def test_every_window_of_the_last_question_is_compared_alone_and_with_the_next(
    texts: list[str],
) -> None:
    asked = request(*texts)
    covered: dict[str, set[int]] = {}
    for part in cut(asked, longest=5):
        assert all(0 <= w.start < w.end <= len(part.passage.text) for w in part.passage.windows)
        if part.said:
            places = covered.setdefault(".".join(map(str, part.said.path)), set())
            for w in part.passage.windows:
                places.update(range(part.offset + w.start, part.offset + w.end))
    for said in asked.said:
        assert covered[".".join(map(str, said.path))] == set(range(len(said.text)))


def test_texts_are_also_read_together_and_only_for_names() -> None:
    together = [part for part in cut(request("Otto", "line"), longest=5) if part.said is None]
    assert [part.passage.text for part in together] == ["Otto line", "Ottoline"]
    assert all(part.passage.windows == () for part in together)
    assert [p for p in cut(request("alone"), longest=5) if p.said is None] == []
