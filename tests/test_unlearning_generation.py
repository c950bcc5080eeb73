"""Answers of local models: the model's own probabilities, whoever else is answered with them."""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from unlearning import generation_rows, tiny
from unlearning.checkpoint import Checkpoint, load
from unlearning.generation import (
    Batch,
    GenerationError,
    Job,
    Piece,
    PromptError,
    Settings,
    choose,
)
from unlearning.generation_queue import Answer, Queue, generate

PROMPTS = (
    "The lamp is lit, and the keeper",
    "Où",
    "In the harbour, behind the market. Où est né le gardien du phare? " * 2,
    "灯台守は",
)


# Two threads that wait for each other on a busy machine take six times as long as one.
torch.set_num_threads(1)


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("model") / "m"
    if request.param == "mistral":
        return load(tiny.write(directory, request.param, sliding_window=8))
    return load(tiny.write(directory, request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load(tiny.write(tmp_path_factory.mktemp("model") / "llama"))


def _tokens(checkpoint: Checkpoint, texts: Sequence[str] = PROMPTS) -> list[list[int]]:
    return [checkpoint.tokenizer.encode(text) for text in texts]


def _logprobs(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    """What one forward pass over the whole gives, without any cache."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
    return found.log_softmax(-1)


def _same(one: Answer, other: Answer) -> bool:
    numbers = [[each.token for each in answer.tokens] for answer in (one, other)]
    return one.text == other.text and one.reason == other.reason and numbers[0] == numbers[1]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logprobs_are_the_models_own(checkpoint: Checkpoint, temperature: float) -> None:
    settings = Settings(24, temperature=temperature, seed=7, top=3, prompt_top=2)
    prompts = _tokens(checkpoint)

    for prompt, answers in zip(prompts, generate(checkpoint, prompts, settings), strict=True):
        [answer] = answers
        told = [*answer.scored, *answer.tokens]
        whole = [*prompt, *(each.token for each in answer.tokens)]
        assert [each.token for each in told] == whole[1:]
        for own, each in zip(_logprobs(checkpoint.members[0], whole), told, strict=False):
            assert each.logprob == pytest.approx(float(own[each.token]), abs=1e-4)
            above, level = (int((own > own[each.token] + by).sum()) for by in (1e-4, -1e-4))
            assert above < each.rank <= max(level, above + 1)
            best = own.topk(len(each.top))
            assert [value for _, value in each.top] == pytest.approx(best.values.tolist(), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_answers_as_each_alone(checkpoint: Checkpoint, temperature: float) -> None:
    settings = Settings(20, temperature=temperature, top_p=0.9, seed=3, prompt_top=0)
    prompts = _tokens(checkpoint)

    together = generate(checkpoint, prompts, settings, choices=2)

    for prompt, answers in zip(prompts, together, strict=True):
        alone = generate(checkpoint, [prompt], settings, choices=2)[0]
        assert all(_same(one, other) for one, other in zip(alone, answers, strict=True))
        for one, other in zip(alone, answers, strict=True):
            mine = [each.logprob for each in (*one.scored, *one.tokens)]
            theirs = [each.logprob for each in (*other.scored, *other.tokens)]
            assert mine == pytest.approx(theirs, abs=1e-4)


def test_who_comes_later_joins_and_changes_nothing(checkpoint: Checkpoint) -> None:
    heard: list[Answer] = [Answer() for _ in PROMPTS]
    batch = Batch(checkpoint)
    for number, prompt in enumerate(_tokens(checkpoint)):

        def hear(_choice: int, said: Piece | GenerationError, number: int = number) -> None:
            assert isinstance(said, Piece)
            heard[number].add(said)

        batch.add(Job(prompt, Settings(12 + 5 * number, temperature=0), hear))
        for _ in range(4):
            batch.step()
    while batch.size:
        batch.step()

    for number, prompt in enumerate(_tokens(checkpoint)):
        settings = Settings(12 + 5 * number, temperature=0)
        assert _same(heard[number], generate(checkpoint, [prompt], settings)[0][0])


def test_long_prompts_are_read_in_windows(
    llama: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(8, temperature=0, prompt_top=1)
    prompts = _tokens(llama)
    at_once = generate(llama, prompts, settings)
    monkeypatch.setattr(generation_rows, "_WINDOW", 20)

    in_windows = generate(llama, prompts, settings)

    for [one], [other] in zip(at_once, in_windows, strict=True):
        assert _same(one, other)
        mine, theirs = ([each.logprob for each in answer.scored] for answer in (one, other))
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    for number in range(3):
        tiny.write(tmp_path / f"shard-{number}", seed=number)
    ensemble = load(tmp_path)
    prompts = _tokens(ensemble)

    found = generate(ensemble, prompts, Settings(16, temperature=1, seed=5, prompt_top=0))

    for prompt, [answer] in zip(prompts, found, strict=True):
        told = [*answer.scored, *answer.tokens]
        whole = [*prompt, *(each.token for each in answer.tokens)]
        each_own = torch.stack([_logprobs(member, whole).exp() for member in ensemble.members])
        mean = each_own.mean(0).log()
        for own, each in zip(mean, told, strict=False):
            assert each.logprob == pytest.approx(float(own[each.token]), abs=1e-4)
    one = generate(load(tmp_path / "shard-0"), prompts, Settings(16, temperature=0))
    assert [each[0].text for each in one] != [each[0].text for each in found]


def test_the_same_seed_draws_the_same_and_choices_differ(llama: Checkpoint) -> None:
    prompt = _tokens(llama)[:1]

    def texts(seed: int | None, choices: int = 4) -> list[str]:
        settings = Settings(16, temperature=1, seed=seed)
        return [each.text for each in generate(llama, prompt, settings, choices=choices)[0]]

    assert texts(1) == texts(1)
    assert texts(1)[:2] == texts(1, choices=2)
    assert len(set(texts(1))) == 4
    assert texts(1) != texts(2)
    assert texts(None) != texts(None)


def test_draws_follow_the_probabilities() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = [(number + 0.5) / 1000 for number in range(1000)]
    rows = chances.log().repeat(1000, 1)

    def counted(settings: Settings) -> Counter[int]:
        return Counter(choose(rows, [settings] * 1000, draws).tolist())

    assert counted(Settings(1)) == {0: 500, 1: 300, 2: 150, 3: 50}
    assert counted(Settings(1, temperature=0)) == {0: 1000}
    assert counted(Settings(1, top_p=0)) == {0: 1000}
    # The smallest set that holds .7: .5 and .3, which is .625 and .375 of it.
    assert counted(Settings(1, top_p=0.7)) == {0: 625, 1: 375}
    hot = counted(Settings(1, temperature=2))
    root = chances.sqrt() / chances.sqrt().sum()
    assert [hot[index] for index in range(4)] == pytest.approx((root * 1000).tolist(), abs=1)


def test_the_last_possible_draw_is_still_a_possible_token() -> None:
    rows = torch.tensor([[0.2, 0.5, 0.3]]).log()
    for top_p in (0.5, 0.8, 1.0):
        [token] = choose(rows, [Settings(1, top_p=top_p)], [1 - 2**-53]).tolist()
        assert token in {0.5: {1}, 0.8: {1, 2}, 1.0: {0, 1, 2}}[top_p]


def test_an_answer_ends_at_an_end_token_and_counts_it(llama: Checkpoint) -> None:
    ends = frozenset(range(1, llama.vocabulary))
    every = Checkpoint(
        *(llama.name, llama.tokenizer, llama.members, llama.context, llama.vocabulary),
        *(ends, llama.batched, llama.lineage),
    )
    [[answer]] = generate(every, _tokens(llama)[:1], Settings(9, temperature=0))
    assert (answer.text, answer.tokens, answer.count, answer.reason) == ("", [], 1, "stop")


def test_no_token_asked_for_scores_the_prompt_only(llama: Checkpoint) -> None:
    prompt = _tokens(llama)[0]
    [[answer]] = generate(llama, [prompt], Settings(0, prompt_top=1))
    assert (answer.text, answer.count, answer.reason) == ("", 0, "length")
    assert [each.token for each in answer.scored] == prompt[1:]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [([], "no tokens"), ([320], "vocabulary of 320"), ([-1], "vocabulary"), ([5] * 250, "256")],
)
def test_a_prompt_that_cannot_be_taken_is_refused(
    llama: Checkpoint, prompt: list[int], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        generate(llama, [prompt], Settings(10))


def test_a_prompt_fills_the_context_to_the_last_token(llama: Checkpoint) -> None:
    [[answer]] = generate(llama, [[5] * 246], Settings(10, temperature=0))
    assert answer.count == 10 or answer.reason == "stop"


def test_probabilities_that_are_none_end_only_their_own_answers(
    llama: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is told to those it concerns; the next request is answered as ever."""
    before = generate(llama, _tokens(llama)[:1], Settings(5, temperature=0))
    real = generation_rows.Rows.extend

    def broken(rows: generation_rows.Rows, tokens: torch.Tensor) -> torch.Tensor:
        return real(rows, tokens) * float("nan")

    monkeypatch.setattr(generation_rows.Rows, "extend", broken)
    with pytest.raises(GenerationError, match="no probabilities"):
        generate(llama, _tokens(llama)[:1], Settings(5, temperature=0))
    monkeypatch.undo()
    assert generate(llama, _tokens(llama)[:1], Settings(5, temperature=0)) == before


def test_who_comes_when_others_leave_gets_an_answer_of_its_own(llama: Checkpoint) -> None:
    answers = [Answer(), Answer()]

    def hear(number: int, said: Piece | GenerationError) -> None:
        assert isinstance(said, Piece)
        answers[number].add(said)

    prompts = _tokens(llama)
    batch = Batch(llama)
    leaving = Job(prompts[0], Settings(100), lambda *_: None, choices=8)
    batch.add(leaving)
    batch.step()
    leaving.cancelled = True
    staying = Job(prompts[1], Settings(9, seed=1), hear, choices=2)
    batch.add(staying)
    while batch.size:
        batch.step()

    alone = generate(llama, [prompts[1]], Settings(9, seed=1), choices=2)[0]
    assert all(_same(one, other) for one, other in zip(answers, alone, strict=True))


def test_many_who_ask_at_once_are_batched_and_answered_as_alone(llama: Checkpoint) -> None:
    heard = [Answer() for _ in range(24)]
    left = threading.Semaphore(0)
    jobs = []
    for number, answer in enumerate(heard):

        def hear(_choice: int, said: Piece | GenerationError, answer: Answer = answer) -> None:
            assert isinstance(said, Piece)
            answer.add(said)
            if said.reason:
                left.release()

        prompt = llama.tokenizer.encode(PROMPTS[number % 4])
        jobs.append(Job(prompt, Settings(20, seed=number), hear))
    with Queue(llama) as queue:
        asking = [threading.Thread(target=queue.submit, args=([job],)) for job in jobs]
        for thread in asking:
            thread.start()
        assert all(left.acquire(timeout=60) for _ in jobs)

    for number, job in enumerate(jobs):
        assert _same(heard[number], generate(llama, [job.prompt], job.settings)[0][0])


def test_the_end_of_a_queue_leaves_nobody_waiting(llama: Checkpoint) -> None:
    heard: list[Piece | GenerationError] = []
    job = Job([5, 6], Settings(200, seed=1), lambda _choice, said: heard.append(said), choices=2)
    with Queue(llama) as queue:
        queue.submit([job])
    last = [said for said in heard if isinstance(said, GenerationError) or said.reason]
    assert len(last) == 2
