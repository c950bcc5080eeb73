"""What an hour of attack on the wire found, each as a test: blocks, breaks, fields, trailers."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from classifiers import HashEncoder
from policies import PolicySet, compile_policies, load_folder
from proxy.config import _client
from proxy.formats import chat, completions, messages
from proxy.framing import Head
from proxy.rehearsal import CALLER, rehearsing
from proxy.scripted import Scripted
from proxy.upstream import Upstream, UpstreamError

POLICY = """\
id: p
applies_to: {models: ["m*"]}
concepts: [{name: Ottoline Vask}]
"""
LONG = " The weather on the coast was mild that year, and nobody expected visitors." * 12


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "p.yaml").write_text(POLICY)
    return compile_policies(load_folder(folder), HashEncoder())


def block(number: int, kind: str, delta: dict[str, str], **head: object) -> Iterator[bytes]:
    begun = {"type": kind, kind: "", **head}
    for event in (
        {"type": "content_block_start", "index": number, "content_block": begun},
        {"type": "content_block_delta", "index": number, "delta": delta},
        {"type": "content_block_stop", "index": number},
    ):
        yield b"data: " + json.dumps(event).encode() + b"\n\n"


def text(number: int, said: str) -> bytes:
    return b"".join(block(number, "text", {"type": "text_delta", "text": said}))


def between(number: int) -> bytes:
    call = {"type": "input_json_delta", "partial_json": "{}"}
    thought = {"type": "thinking_delta", "thinking": "Hm, boats."}
    called = block(number, "tool_use", call, id="t", name="look", input={})
    return b"".join(called) + b"".join(block(number + 1, "thinking", thought))


@pytest.mark.parametrize("others", [1, 4, 9])
def test_a_name_over_two_blocks_is_seen_whatever_stands_between(
    others: int, tmp_path: Path, policies: PolicySet
) -> None:
    said = [text(0, "My painter is Ottoline")]
    said += [between(1 + 2 * n) for n in range(others)]
    said += [text(50, f" Vask painted it.{LONG}")]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
    script = Scripted([*said, b"data: " + json.dumps(end).encode() + b"\n\n"], done=False)
    body = {
        "model": "m", "max_tokens": 9, "stream": True,
        "messages": [{"role": "user", "content": "Go on."}],
    }  # fmt: skip

    async def told() -> str:
        async with rehearsing(tmp_path, policies, script) as rehearsal:
            outs = [o async for o in rehearsal.pipeline.answer(messages, body, CALLER)]
            return b"".join(o for o in outs if not isinstance(o, Head)).decode()

    assert "Vask" not in asyncio.run(told())


@pytest.mark.parametrize("none", ["", None, False])
def test_a_reason_that_is_empty_ends_nothing(
    none: object, tmp_path: Path, policies: PolicySet
) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "It rains. "}, "finish_reason": none}]}
    frame = b"data: " + json.dumps(chunk).encode() + b"\n\n"

    async def told() -> str:
        async with rehearsing(tmp_path, policies, Scripted([frame, frame])) as rehearsal:
            return (await rehearsal.ask(stream=True)).text()

    assert asyncio.run(told()) == "It rains. It rains. "
    answer = completions.answer(completions.read({"model": "m", "prompt": "x", "stream": True}))
    assert len(answer.feed({"choices": [{"text": "It", "finish_reason": none}]})) == 1


def test_blank_data_and_space_behind_the_end_break_no_stream(
    tmp_path: Path, policies: PolicySet
) -> None:
    async def told() -> str:
        script = Scripted(["It rains.", b"data: \n\n", b"data: [DONE] \n\n"], done=False)
        async with rehearsing(tmp_path, policies, script) as rehearsal:
            return (await rehearsal.ask(stream=True)).text()

    assert asyncio.run(told()) == "It rains."


def test_others_get_their_turn_while_a_stream_comes_all_at_once(
    tmp_path: Path, policies: PolicySet
) -> None:
    turns = 0

    async def told() -> None:
        async with rehearsing(tmp_path, policies, Scripted(["a"] * 500)) as rehearsal:
            asked = asyncio.ensure_future(rehearsal.ask(stream=True))
            while not asked.done():
                nonlocal turns
                turns += 1
                await asyncio.sleep(0)

    asyncio.run(told())
    assert turns > 500


@pytest.mark.parametrize(
    "field", ["lora", "lora_path", "adapter_id", "truncate_prompt_tokens", "thread_id", "template"]
)
def test_a_field_that_goes_around_is_named(field: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], field: "x"}
    assert [found.param for found in chat.read(body).side_channels] == [field]


@pytest.mark.parametrize("field", ["bootstrap_host", "user_config", "guided_OttolineVask"])
def test_no_client_names_a_destination_and_no_field_its_words(
    field: str, tmp_path: Path, policies: PolicySet
) -> None:
    async def told() -> tuple[int, str]:
        async with rehearsing(tmp_path, policies, Scripted(["It rains."])) as rehearsal:
            answer = await rehearsal.ask(**{field: "x"})
            return answer.status, json.dumps(rehearsal.records())

    status, recorded = asyncio.run(told())
    assert status == 400
    assert "Ottoline" not in recorded.replace("p/Ottoline Vask", "")


@pytest.mark.parametrize("model", [" M", "m ", "ｍ1", "\u200bm", "m\n"])
def test_no_spelling_of_a_model_leaves_a_policy(model: str, policies: PolicySet) -> None:
    assert policies.applicable(model=model, route="/v1/chat/completions", tenant="t")


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            taken, _ = server.accept()
            taken.recv(65536)
            answer(taken)
            taken.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def reset(taken: socket.socket) -> None:
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def half(taken: socket.socket) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")


async def failure(url: str) -> UpstreamError:
    client = _client(None)
    try:
        await Upstream("u", url, client).complete("/chat/completions", {"model": "m"})
    except UpstreamError as error:
        return error
    finally:
        await client.aclose()
    raise AssertionError("nothing failed")


@pytest.mark.server
@pytest.mark.parametrize(
    ("does", "told"),
    [
        (lambda _: None, "connection closed"),
        (half, "connection closed"),
        (reset, "connection reset"),
        (lambda taken: taken.sendall(b"Ottoline Vask\r\n\r\n"), "did not answer in HTTP"),
    ],
)
def test_a_broken_connection_is_named_for_what_it_is(
    does: Callable[[socket.socket], Any], told: str
) -> None:
    with listening(does) as url:
        error = asyncio.run(failure(url))
    assert told in str(error)
    assert error.status == 502


@pytest.mark.server
def test_a_refused_connection_is_named_for_what_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    assert "connection refused" in str(asyncio.run(failure(url)))
