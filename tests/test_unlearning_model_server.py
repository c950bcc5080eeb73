"""Local models over a real socket, asked by the official SDK and by hand."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from openai import OpenAI

from unlearning import tiny
from unlearning.checkpoint import Checkpoint, load_all
from unlearning.model_server import MAX_BODY_BYTES, serving
from unlearning.serve import running

pytestmark = pytest.mark.server

# Two threads that wait for each other on a busy machine take six times as long as one.
torch.set_num_threads(1)

ASKED: list[Any] = [{"role": "user", "content": "Où est né le gardien?"}]
MODELS = ("llama", "gpt2", "qwen3", "sisa")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("models")
    for name in MODELS[:3]:
        tiny.write(root / name, name)
    for seed in range(2):
        tiny.write(root / "sisa" / f"shard-{seed}", seed=seed)
    tiny.write(root / "plain", "gpt2", template=None)
    return load_all([f"{root / name}" for name in (*MODELS, "plain")])


@pytest.fixture(scope="module")
def base_url(checkpoints: dict[str, Checkpoint]) -> Iterator[str]:
    with serving(checkpoints) as app, running(app) as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=60) as sdk:
        yield sdk


def _own(checkpoint: Checkpoint, tokens: list[int]) -> torch.Tensor:
    """The members' mean probability after each token, from one pass over the whole."""
    with torch.inference_mode():
        each = [member(input_ids=torch.tensor([tokens])).logits[0] for member in checkpoint.members]
    return torch.stack([logits.softmax(-1) for logits in each]).mean(0).log()


def _ending(checkpoint: Checkpoint) -> list[int]:
    """A prompt after which the likeliest token is one that ends an answer."""
    chance = torch.Generator().manual_seed(0)
    prompts = torch.randint(4, checkpoint.vocabulary, (2000, 6), generator=chance)
    with torch.inference_mode():
        each = [
            member(input_ids=prompts).logits[:, -1].softmax(-1) for member in checkpoint.members
        ]
    likeliest = torch.stack(each).mean(0).argmax(-1).tolist()
    at = next(at for at, token in enumerate(likeliest) if token in checkpoint.ends)
    found: list[int] = prompts[at].tolist()
    return found


def _ids(checkpoint: Checkpoint, text: str) -> list[int]:
    found: list[int] = checkpoint.tokenizer.encode(text)
    return found


def test_models_are_listed_with_their_lineage(client: OpenAI) -> None:
    listed = list(client.models.list())
    assert [model.id for model in listed] == [*MODELS, "plain"]
    found: Any = client.models.retrieve("sisa")
    assert found.lineage["format"] == "ensemble"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("temperature", [0, 1])
def test_chat_streamed_is_chat_whole(client: OpenAI, model: str, temperature: float) -> None:
    asked: dict[str, Any] = {"model": model, "messages": ASKED, "max_tokens": 24, "n": 3}
    asked |= {"temperature": temperature, "seed": 4, "logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )

    for choice in whole.choices:
        mine = [
            chunk.choices[0]
            for chunk in chunks
            if chunk.choices and chunk.choices[0].index == choice.index
        ]
        assert mine[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in mine) == choice.message.content
        assert [each.finish_reason for each in mine if each.finish_reason] == [choice.finish_reason]
        told = [one for each in mine if each.logprobs for one in each.logprobs.content or []]
        assert choice.logprobs is not None
        assert [each.token for each in told] == [
            each.token for each in choice.logprobs.content or []
        ]
    assert chunks[-1].usage == whole.usage
    assert len({choice.message.content for choice in whole.choices}) == (3 if temperature else 1)


@pytest.mark.parametrize("model", ["llama", "qwen3"])
def test_what_lm_eval_cuts_off_is_the_token_that_was_generated_even_the_end(
    client: OpenAI, checkpoints: dict[str, Checkpoint], model: str
) -> None:
    """It asks for one token more than it wants, and drops the last: `token_logprobs[ctxlen:-1]`."""
    checkpoint = checkpoints[model]
    for prompt in (_ending(checkpoint), _ids(checkpoint, "The lamp is lit")):
        asked: dict[str, Any] = {"max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
        answer = client.completions.create(model=model, prompt=prompt, **asked).choices[0]
        assert answer.logprobs is not None
        told = answer.logprobs.token_logprobs or []
        own = _own(checkpoint, prompt).gather(1, torch.tensor(prompt[1:])[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(told[1:-1]), own, rtol=0, atol=1e-5)
        lengths = map(len, (told, answer.logprobs.tokens or [], answer.logprobs.top_logprobs or []))
        assert list(lengths) == [len(prompt) + 1] * 3


@pytest.mark.parametrize("model", MODELS)
def test_echoed_logprobs_are_the_models_own(
    client: OpenAI, checkpoints: dict[str, Checkpoint], model: str
) -> None:
    checkpoint = checkpoints[model]
    prompt = _ids(checkpoint, "The lamp is lit, and the keeper of the lighthouse")
    answer = client.completions.create(
        model=model, prompt=prompt, max_tokens=0, echo=True, logprobs=3
    ).choices[0]

    assert answer.text == checkpoint.tokenizer.decode(prompt)
    logprobs = answer.logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.top_logprobs is not None
    assert logprobs.tokens is not None
    assert "".join(logprobs.tokens) == answer.text
    assert logprobs.text_offset == [answer.text.index(t, at) for t, at in _places(logprobs.tokens)]
    assert not logprobs.token_logprobs[0]
    own = _own(checkpoint, prompt)
    for place, token in enumerate(prompt[1:]):
        told = logprobs.token_logprobs[place + 1]
        assert told == pytest.approx(float(own[place, token]), abs=1e-4)
        best = logprobs.top_logprobs[place + 1]
        assert max(best.values()) == pytest.approx(float(own[place].max()), abs=1e-4)
        assert len(best) in {3, 4}


def _places(tokens: list[str]) -> Iterator[tuple[str, int]]:
    at = 0
    for token in tokens:
        yield token, at
        at += len(token)


def test_prompt_logprobs_are_told_as_vllm_tells_them(
    client: OpenAI, checkpoints: dict[str, Checkpoint]
) -> None:
    prompt = _ids(checkpoints["gpt2"], "The lamp")
    answer = client.completions.create(
        model="gpt2", prompt=prompt, max_tokens=1, extra_body={"prompt_logprobs": 1}
    )
    told = answer.choices[0].to_dict()["prompt_logprobs"]
    own = _own(checkpoints["gpt2"], prompt)
    assert isinstance(told, list)
    assert told[0] is None
    for place, token in enumerate(prompt[1:]):
        said = told[place + 1][str(token)]
        assert said["logprob"] == pytest.approx(float(own[place, token]), abs=1e-4)

    chat = client.chat.completions.create(
        model="gpt2", messages=ASKED, max_tokens=1, extra_body={"prompt_logprobs": 0}
    )
    assert chat.usage is not None
    assert len(chat.to_dict()["prompt_logprobs"]) == chat.usage.prompt_tokens  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_text_streamed_is_text_whole_and_prompts_in_one_request_are_as_alone(
    client: OpenAI, model: str
) -> None:
    prompts = ["The lamp", "Où est né le gardien du phare", "灯台守は"]
    asked: dict[str, Any] = {"model": model, "max_tokens": 16, "seed": 2, "logprobs": 1}
    asked |= {"echo": True, "n": 2}
    together = client.completions.create(**asked, prompt=prompts).choices
    streamed: dict[int, list[Any]] = {}
    for chunk in client.completions.create(**asked, prompt=prompts, stream=True):
        streamed.setdefault(chunk.choices[0].index, []).append(chunk.choices[0])

    assert [choice.index for choice in together] == list(range(6))
    for number, choice in enumerate(together):
        alone = client.completions.create(**asked, prompt=prompts[number // 2]).choices[number % 2]
        assert choice.text.startswith(prompts[number // 2])
        assert choice.text == alone.text
        assert choice.logprobs is not None
        assert alone.logprobs is not None
        mine, theirs = choice.logprobs.token_logprobs, alone.logprobs.token_logprobs
        assert mine is not None
        assert theirs is not None
        assert mine[1:] == pytest.approx(theirs[1:], abs=1e-4)
        pieces = streamed[number]
        assert "".join(piece.text for piece in pieces) == choice.text
        offsets = [at for piece in pieces if piece.logprobs for at in piece.logprobs.text_offset]
        assert offsets == choice.logprobs.text_offset


def test_those_who_ask_at_once_are_answered_as_alone(client: OpenAI) -> None:
    def ask(seed: int) -> str:
        answer = client.chat.completions.create(
            model=MODELS[seed % 4], messages=ASKED, max_tokens=16, seed=seed
        )
        return answer.choices[0].message.content or ""

    alone = [ask(seed) for seed in range(12)]
    together: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: together.update({seed: ask(seed)}))
        for seed in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[seed] for seed in range(12)] == alone


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_ends_before_a_stop(client: OpenAI, stream: bool) -> None:
    asked: dict[str, Any] = {"model": "llama", "prompt": "The lamp", "max_tokens": 40, "seed": 1}
    free = client.completions.create(**asked).choices[0].text
    stop = free[6:8]
    if stream:
        chunks = list(client.completions.create(**asked, stop=[stop], stream=True))
        text = "".join(chunk.choices[0].text for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = client.completions.create(**asked, stop=stop).choices[0]
        text, reason = choice.text, choice.finish_reason
    assert text == free[: free.index(stop)]
    assert reason == "stop"


def test_an_answer_can_be_begun_for_the_model(
    client: OpenAI, checkpoints: dict[str, Checkpoint]
) -> None:
    begun = [*ASKED, {"role": "assistant", "content": "The lamp is"}]
    answer = client.chat.completions.create(
        model="gpt2",
        messages=begun,
        max_tokens=12,
        temperature=0,
        extra_body={"continue_final_message": True},
    )
    prompt = "<user>Où est né le gardien?<end><assistant>The lamp is"
    text = client.completions.create(model="gpt2", prompt=prompt, max_tokens=12, temperature=0)
    assert answer.choices[0].message.content == text.choices[0].text


def test_tokens_are_counted_and_read_back(
    client: OpenAI, base_url: str, checkpoints: dict[str, Checkpoint]
) -> None:
    server = base_url.removesuffix("/v1")
    words = checkpoints["llama"].tokenizer
    body = {"model": "llama", "prompt": "The lamp", "return_token_strs": True}
    found = httpx.post(f"{server}/tokenize", json=body).json()
    assert found["tokens"] == words.encode("The lamp")
    assert (found["count"], found["max_model_len"]) == (len(found["tokens"]), tiny.CONTEXT)
    assert "".join(found["token_strs"]) == "The lamp"

    chat = httpx.post(f"{server}/tokenize", json={"model": "llama", "messages": ASKED}).json()
    answer = client.chat.completions.create(model="llama", messages=ASKED, max_tokens=1)
    assert answer.usage is not None
    assert chat["count"] == answer.usage.prompt_tokens

    back = httpx.post(f"{server}/detokenize", json={"model": "llama", "tokens": found["tokens"]})
    assert back.json() == {"prompt": "The lamp"}
    info = httpx.get(f"{server}/tokenizer_info", params={"model": "llama"}).json()
    assert (info["eos_token"], info["chat_template"]) == ("<end>", tiny.TEMPLATE)
    assert httpx.post(f"{server}/tokenize", json={"prompt": "x"}).status_code == 400


def test_health_is_told(base_url: str) -> None:
    answer = httpx.get(base_url.removesuffix("/v1") + "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_of_one_model_needs_no_name_for_its_tokenizer(tmp_path: Path) -> None:
    with serving(load_all([str(tiny.write(tmp_path / "m"))])) as app, running(app) as url:
        found = httpx.post(url.removesuffix("/v1") + "/tokenize", json={"prompt": "x"})
    assert found.json()["count"] == 1


def test_a_client_that_leaves_frees_its_place(client: OpenAI, base_url: str) -> None:
    long: dict[str, Any] = {"model": "llama", "prompt": "The", "max_tokens": 250, "n": 64}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{base_url}/completions", json=long, timeout=0.05)
    stream = client.completions.create(**long, stream=True)
    next(iter(stream))
    stream.close()
    short = client.completions.create(model="llama", prompt="The", max_tokens=2, temperature=0)
    assert short.choices[0].finish_reason in {"length", "stop"}


SECRET = "Mirela Tollan"


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("chat/completions", {"model": SECRET}, 404, "model"),
        ("chat/completions", {"model": "llama", "messages": []}, 400, "messages"),
        ("chat/completions", {"model": "llama", "messages": [{"role": SECRET}]}, 400, "messages"),
        ("chat/completions", {"model": 5}, 400, "model"),
        ("chat/completions", {"temperature": -1}, 400, "temperature"),
        ("chat/completions", {"top_p": 2}, 400, "top_p"),
        ("chat/completions", {"n": 0}, 400, "n"),
        ("chat/completions", {"tools": [{"type": "function"}]}, 400, "tools"),
        ("chat/completions", {"logit_bias": {"5": -100}}, 400, "logit_bias"),
        ("chat/completions", {"response_format": {"type": "json_object"}}, 400, "response_format"),
        ("chat/completions", {"max_tokens": 1000}, 400, "prompt"),
        ("chat/completions", {"chat_template_kwargs": {"chat_template": SECRET}}, 400, None),
        ("chat/completions", {"stream": True, "prompt_logprobs": 1}, 400, "prompt_logprobs"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "messages",
        ),
        ("completions", {}, 400, "prompt"),
        ("completions", {"prompt": ""}, 400, "prompt"),
        ("completions", {"prompt": [320]}, 400, "prompt"),
        ("completions", {"prompt": [[1], ["x"]]}, 400, "prompt"),
        ("completions", {"prompt": "x", "suffix": SECRET}, 400, "suffix"),
        ("completions", {"prompt": "x", "presence_penalty": 1}, 400, "presence_penalty"),
        ("completions", {"prompt": SECRET * 300}, 400, "prompt"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_not_quoted(
    base_url: str, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    filled: dict[str, Any] = {"model": "llama"}
    if path.startswith("chat"):
        filled["messages"] = ASKED
    answer = httpx.post(f"{base_url}/{path}", json=filled | body)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error["message"]
    assert param is None or error["param"] == param
    assert SECRET not in answer.text


def test_a_body_that_is_no_request_is_refused(base_url: str) -> None:
    url = f"{base_url}/completions"
    for content in (b"{", b"[]", b'{"prompt": "\\ud800"}', b"\xff"):
        assert httpx.post(url, content=content).status_code == 400
    assert httpx.post(url, content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413
    assert httpx.get(url).status_code == 405


def test_a_model_without_a_template_completes_texts_only(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no chat template"):
        client.chat.completions.create(model="plain", messages=ASKED)
    answer = client.completions.create(model="plain", prompt="The lamp", max_tokens=3)
    assert answer.choices[0].finish_reason in {"length", "stop"}
