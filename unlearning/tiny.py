"""Language models too small to say anything, with a tokenizer of bytes, for rehearsals and tests.

Knows no data and trains nothing: real architectures with random weights, made in milliseconds.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

ARCHITECTURES = ("llama", "gpt2", "qwen3", "mistral")
CONTEXT = 256
TEMPLATE = (
    "{% for each in messages %}<{{ each['role'] }}>{{ each['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
_SPECIAL = ["<end>", "<system>", "<user>", "<assistant>"]
_TEXTS = (
    "The lamp is lit, and the keeper of the lighthouse sleeps.",
    "Où est né le gardien du phare? In the harbour, behind the market.",
    "灯台守はどこで生まれましたか。",
)


def tokenizer(*, template: str | None = TEMPLATE) -> Any:  # noqa: ANN401 (it ships no types)
    """A byte-level BPE that knows a few dozen merges; `<end>` is token 0 and ends a turn."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(_SPECIAL) + 256 + 60,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_TEXTS * 4, trainer)
    fast: Any = PreTrainedTokenizerFast  # it ships no types
    made = fast(tokenizer_object=backend, eos_token=_SPECIAL[0])
    made.chat_template = template
    return made


def model(
    architecture: str = "llama",
    *,
    vocabulary: int,
    seed: int = 0,
    **more: Any,  # noqa: ANN401 (fields of a configuration)
) -> Any:  # noqa: ANN401 (a class an architecture)
    """A random model of two layers. `more` goes into its configuration."""
    shape: dict[str, Any] = {"vocab_size": vocabulary, "initializer_range": 0.4}
    shape |= {"bos_token_id": 0, "eos_token_id": 0}
    if architecture == "gpt2":
        shape |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
    else:
        shape |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        shape |= {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8}
        shape |= {"max_position_embeddings": CONTEXT}
    config = AutoConfig.for_model(architecture, **shape | more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        auto: Any = AutoModelForCausalLM
        return auto.from_config(config).eval()


def write(
    directory: Path,
    architecture: str = "llama",
    *,
    seed: int = 0,
    template: str | None = TEMPLATE,
    **more: Any,  # noqa: ANN401 (fields of a configuration)
) -> Path:
    """Put such a model with its tokenizer into a directory, as Hugging Face does; returns it."""
    words = tokenizer(template=template)
    model(architecture, vocabulary=len(words), seed=seed, **more).save_pretrained(directory)
    words.save_pretrained(directory)
    return directory
