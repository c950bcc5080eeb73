"""Descent that can be broken off and gone on with, stops in time, and says what it cost."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import Linear, Module
from transformers import GPT2Config, GPT2LMHeadModel

from unlearning.corpus import load
from unlearning.methods.batch import Row, encode, order
from unlearning.methods.npo import Npo
from unlearning.methods.rmu import Rmu
from unlearning.methods.rows import RowsError, check, read, write
from unlearning.methods.simnpo import SimNpo
from unlearning.methods.step import Method
from unlearning.methods.unlearn import Data, adapted, mean_loss, teach, unlearn
from unlearning.testbed_model import tokenizer
from unlearning.testbed_rows import asked
from unlearning.training import STATE, Loss, Outcome, Run, Settings, TrainingError, rate, train


def model() -> Linear:
    torch.manual_seed(0)
    return Linear(4, 1)


def goal(module: Module, *, broken_at: int | None = None) -> object:
    def loss(step: int, part: int) -> Loss:
        if step == broken_at:
            raise KeyboardInterrupt
        given = torch.randn(8, 4, generator=torch.Generator().manual_seed(step * 10 + part))
        wanted = given.sum(1, keepdim=True)
        return Loss((module(given) - wanted).square().mean(), 8)

    return loss


def flat(module: Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in module.parameters()])


def test_a_training_that_broke_off_ends_in_the_same_weights(tmp_path: Path) -> None:
    settings = Settings(steps=20, learning_rate=0.05, accumulate=2, save_every=5)
    whole, broken, again = model(), model(), model()
    expected = train(whole, goal(whole), settings)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        train(broken, goal(broken, broken_at=13), settings, run=Run(keep=tmp_path))  # type: ignore[arg-type]
    assert (tmp_path / STATE).is_file()
    with torch.no_grad():
        again.weight.zero_()
    found = train(again, goal(again), settings, run=Run(keep=tmp_path))  # type: ignore[arg-type]
    assert torch.equal(flat(whole), flat(again))
    assert found.steps == expected.steps == 20
    assert found.cost.tokens == expected.cost.tokens == 20 * 2 * 8
    assert not (tmp_path / STATE).exists()


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    one = model()
    settings = Settings(steps=20, learning_rate=0.05, save_every=5)
    with pytest.raises(KeyboardInterrupt):
        train(one, goal(one, broken_at=7), settings, run=Run(keep=tmp_path))  # type: ignore[arg-type]
    other = Settings(steps=21, learning_rate=0.05, save_every=5)
    with pytest.raises(TrainingError, match="another training"):
        train(one, goal(one), other, run=Run(keep=tmp_path))  # type: ignore[arg-type]
    (tmp_path / STATE).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="damaged"):
        train(one, goal(one), settings, run=Run(keep=tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize("broken_at", [4, 7, 10])
def test_a_training_that_goes_on_watches_the_retain_loss_from_where_the_first_began(
    tmp_path: Path, broken_at: int
) -> None:
    """The fourth look lies above the limit of step 0, and would not above that of a later one."""
    settings = Settings(steps=50, learning_rate=0.05, check_every=3, retain_limit=0.5, save_every=2)
    looks = {0: 1.0, 3: 1.2, 6: 1.4, 9: 1.45, 12: 1.6}

    def run(one: Linear, at: list[int], **more: object) -> Outcome:
        def loss(step: int, part: int) -> Loss:
            at[0] = step + 1
            found: Loss = goal(one, **more)(step, part)  # type: ignore[operator, arg-type]
            return found

        return train(
            one, loss, settings, retain_loss=lambda: looks[at[0]], run=Run(keep=tmp_path / "state")
        )

    whole, broken = model(), model()
    expected = run(whole, [0])
    with pytest.raises(KeyboardInterrupt):
        run(broken, [0], broken_at=broken_at)
    found = run(broken, [broken_at // 2 * 2])
    assert expected.stopped
    assert found.stopped
    assert found.steps == expected.steps == 12
    assert torch.equal(flat(whole), flat(broken))


def test_the_state_of_another_method_or_of_other_rows_is_refused(tmp_path: Path) -> None:
    words = tokenizer(load())
    settings = Settings(steps=3, learning_rate=0.001, save_every=1)
    kept = Run(keep=tmp_path, of="a model")

    def descend(method: Method, forget: list[Row], run: Run, *, breaks: bool = False) -> None:
        def until(step: int) -> bool:
            if breaks and step == 2:
                raise KeyboardInterrupt
            return False

        data = Data(forget, RETAIN)
        unlearn(gpt2(len(words)), words, method, data, settings, run=replace(run, until=until))

    with pytest.raises(KeyboardInterrupt):
        descend(Npo(), FORGET, kept, breaks=True)
    other = [replace(FORGET[0], answer="In Ghent, I think.")]
    for method, forget, run in (
        (SimNpo(), FORGET, kept),
        (Npo(beta=0.2), FORGET, kept),
        (Npo(), other, kept),
        (Npo(), FORGET, replace(kept, of="another model")),
    ):
        with pytest.raises(TrainingError, match="another training"):
            descend(method, forget, run)
    descend(Npo(), FORGET, kept)
    assert not (tmp_path / STATE).exists()


def test_the_outcome_says_what_was_computed_in() -> None:
    one = model()
    asked_for = (Settings(steps=1), Settings(steps=1, precision="bfloat16"))
    found = [train(one, goal(one), each).precision for each in asked_for]  # type: ignore[arg-type]
    assert found == ["float32", "bfloat16"]


def test_it_stops_when_the_retain_loss_rises_and_brings_back_the_last_good_weights() -> None:
    one = model()
    start = flat(one)
    losses = iter([1.0, 1.2, 1.4, 9.0])
    good: list[Tensor] = []

    def retain_loss() -> float:
        found = next(losses)
        if found < 2:
            good.append(flat(one))
        return found

    settings = Settings(steps=50, learning_rate=0.05, check_every=3, retain_limit=0.5)
    found = train(one, goal(one), settings, retain_loss=retain_loss)  # type: ignore[arg-type]
    assert found.stopped
    assert found.steps == 9
    assert torch.equal(flat(one), good[-1])
    assert not torch.equal(flat(one), start)


def test_the_parts_of_a_step_are_averaged() -> None:
    one, two = model(), model()
    train(one, goal(one), Settings(steps=1, learning_rate=0.1, accumulate=2, clip=1e9))  # type: ignore[arg-type]

    def both(step: int, _part: int) -> Loss:
        parts = [goal(two)(step, part) for part in (0, 1)]  # type: ignore[operator]
        return Loss((parts[0].value + parts[1].value) / 2, 16)

    train(two, both, Settings(steps=1, learning_rate=0.1, clip=1e9))
    torch.testing.assert_close(flat(one), flat(two))


def test_a_loss_that_is_no_number_ends_it() -> None:
    one = model()

    def lost(_step: int, _part: int) -> Loss:
        return Loss(one(torch.full((1, 4), torch.nan)).sum(), 1)

    with pytest.raises(TrainingError, match="not finite"):
        train(one, lost, Settings(steps=1))


def test_the_rate_rises_and_falls() -> None:
    settings = Settings(steps=100, warmup=9, schedule="cosine", floor=0.1)
    assert rate(settings, 0) == pytest.approx(0.1)
    assert rate(settings, 50) == pytest.approx(0.55)
    assert rate(settings, 100) == pytest.approx(0.1)
    assert rate(Settings(steps=10, schedule="linear"), 5) == pytest.approx(0.5)
    assert rate(Settings(steps=10, schedule="constant"), 9) == 1


def test_every_epoch_holds_every_row_once() -> None:
    drawn = [at for step in range(7) for at in order(10, size=4, seed=3, step=step)]
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:20]) == list(range(10))
    assert drawn[:10] != drawn[10:20]


def test_rows_survive_a_file_and_bad_ones_are_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [asked("Be brief.", "Who?", "Nobody.", "u"), asked("", "Where?", "Nowhere.", "v")]
    write(rows, path)
    assert read(path) == rows
    path.write_text('{"question": "Who?", "answer": "N."}\n\n{"question": "Who?"}\n', "utf-8")
    with pytest.raises(RowsError, match=r"rows\.jsonl:3: answer"):
        read(path)
    path.write_text("\n", "utf-8")
    with pytest.raises(RowsError, match="no rows"):
        read(path)
    with pytest.raises(RowsError, match="row 2 of the forget set is row 1"):
        check(rows, [rows[1]])
    with pytest.raises(RowsError, match="retain set is empty"):
        check(rows, [])


def gpt2(vocabulary: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=1,
            eos_token_id=1,
        )
    )


FORGET = [asked("", "Where was Mirela Tollan born?", "In Sallow Quay.", "Mirela Tollan")]
RETAIN = [asked("", "Where was Edda Tollan born?", "In Ghent.", "Edda Tollan")]


def losses(module: Module, words: object) -> tuple[float, float]:
    def one(rows: list[Row]) -> float:
        return mean_loss(module, [encode(words, row) for row in rows], pad=0)  # type: ignore[arg-type]

    return one(FORGET), one(RETAIN)


@pytest.mark.parametrize("lora", [False, True])
def test_another_architecture_forgets_and_keeps_in_full_and_by_adapter(lora: bool) -> None:
    if lora:
        pytest.importorskip("peft")
    torch.set_num_threads(1)
    words = tokenizer(load())
    module: Module = gpt2(len(words))
    teach(module, words, Data((), [*FORGET, *RETAIN]), Settings(steps=60, learning_rate=0.02))
    if lora:
        module = adapted(module, rank=4, alpha=8)
    known = losses(module, words)
    assert max(known) < 0.5
    settings = Settings(steps=30, learning_rate=0.02 if lora else 0.003, schedule="constant")
    unlearn(module, words, Npo(), Data(FORGET, RETAIN), settings)
    forgotten, kept = losses(module, words)
    assert forgotten > known[0] + 1
    assert kept < known[1] + 0.5


def test_rmu_leaves_all_other_parameters_as_they_were() -> None:
    words = tokenizer(load())
    module = gpt2(len(words))
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    settings = Settings(steps=2, learning_rate=0.01)
    unlearn(module, words, Rmu(layer=0), Data(FORGET, RETAIN), settings)
    changed = {n for n, each in module.named_parameters() if not torch.equal(each, before[n])}
    assert changed == {"transformer.h.0.mlp.c_proj.weight", "transformer.h.0.mlp.c_proj.bias"}
    assert all(each.requires_grad for each in module.parameters())
