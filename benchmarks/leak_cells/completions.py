"""OpenAI completions: every channel of an answer, as chunks that both modes share.

Knows no gateway. Shapes: the OpenAI API reference of the completions endpoint.
"""

from typing import Any

from benchmarks.leak_cells.channels import STREAMED, Body, Channel, Voice, merged
from benchmarks.leak_cells.chat import LOGPROBS, SPLIT, USAGE, frame, spoken
from benchmarks.leak_cells.phrases import ORDINARY
from benchmarks.leak_cells.upstream import Script


def text(*chunks: Body, reason: str = "stop", usage: Body | None = None) -> Script:
    """Chunks of a completion, streamed and whole."""
    head = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "matrix-completions",
    }
    frames: list[bytes] = []
    joined: Body = {}
    for chunk in chunks:
        joined = merged(joined, chunk)
        rows = [{"finish_reason": None, "text": "", **row} for row in chunk.get("choices", [])]
        frames.append(frame({**head, **chunk, "choices": rows}))
    rows = [{"finish_reason": reason, **row} for row in joined.get("choices", [])]
    for row in rows:
        end = {"index": row["index"], "text": "", "finish_reason": reason}
        frames.append(frame({**head, "choices": [end]}))
    frames.append(frame({**head, "choices": [], "usage": usage or USAGE}))
    top = {**head, **joined, "choices": rows, "usage": usage or USAGE}
    return Script(top, (*frames, b"data: [DONE]\n\n"))


def _text_channel(name: str, group: str, reply: Any, **rest: Any) -> Channel:  # noqa: ANN401
    asked = rest.pop("ask", {})
    return Channel(
        name=name, wire="completions", group=group, reply=reply, ask=lambda _: asked, **rest
    )


def _words_of(v: Voice) -> Body:
    words = v.said.split()
    return {"tokens": words, "token_logprobs": [-0.5] * len(words), "text_offset": [0, 4],
            "top_logprobs": [{word: -0.5} for word in words]}  # fmt: skip


def _aside(name: str, group: str, **top: Any) -> Channel:  # noqa: ANN401
    def reply(v: Voice) -> Script:
        return text({**spoken(text=ORDINARY), **{key: make(v) for key, make in top.items()}})

    return _text_channel(name, group, reply, kind="aside")


COMPLETIONS = [
    _text_channel("text", "text", lambda v: text(*(spoken(text=p) for p in v.parts(v.text)))),
    _text_channel(
        "second choice", "text", ask={"n": 2},
        reply=lambda v: text(spoken(text=ORDINARY), spoken(1, text=v.text)),
    ),
    _text_channel(
        "second of two prompts", "text", ask={"prompt": ["Where to?", "And then?"]},
        reply=lambda v: text(spoken(text=ORDINARY), spoken(1, text=v.text)),
    ),
    _text_channel(
        "logprobs, asked for", "log probabilities", ask={"logprobs": 2}, may_close=LOGPROBS,
        reply=lambda v: text(spoken(text=ORDINARY, logprobs=_words_of(v))),
    ),
    _text_channel(
        "logprobs, unasked", "log probabilities", kind="aside",
        reply=lambda v: text(spoken(text=ORDINARY, logprobs=_words_of(v))),
    ),
    _text_channel(
        "echo of the prompt", "text", ask={"echo": True},
        may_close="an echo gives back what was injected into the prompt",
        reply=lambda v: text(spoken(text=v.text)),
    ),
    _text_channel(
        "of the choice", "unknown fields", kind="aside",
        reply=lambda v: text(spoken(text=ORDINARY, note=v.text)),
    ),
    _text_channel(
        "finish_reason", "endings", kind="aside",
        reply=lambda v: text(spoken(text=ORDINARY), reason=v.said),
    ),
    _text_channel(
        "usage key", "usage", kind="aside",
        reply=lambda v: text(spoken(text=ORDINARY), usage={**USAGE, v.slug: 1}),
    ),
    _text_channel(
        "over two chunks", SPLIT, modes=(STREAMED,),
        reply=lambda v: text(spoken(text=f"It was {v.words[0][:4]}"),
                             spoken(text=f"{v.words[0][4:]} {v.words[1]}, they say.")),
    ),
    _aside("at the top", "unknown fields", note=lambda v: v.text),
    _aside("completion id", "identifiers", id=lambda v: f"cmpl-{v.slug}"),
    _aside("model", "identifiers", model=lambda v: v.slug),
    _aside("system_fingerprint", "identifiers", system_fingerprint=lambda v: f"fp_{v.slug}"),
]  # fmt: skip
