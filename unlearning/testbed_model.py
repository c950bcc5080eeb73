"""The testbed's language model: a real Llama architecture, tiny, with a tokenizer of whole words.

Knows no training. A word that the tokenizer does not know is spelt in letters or bytes.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from unlearning.corpus import Corpus
from unlearning.testbed_rows import (
    CONFUSED,
    FIRST_NAMES,
    GREETINGS,
    HARMLESS,
    HELD_OUT,
    LAST_NAMES,
    UNKNOWN,
    WORDINGS,
)

if TYPE_CHECKING:  # transformers is slow to import
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<end>", "<system>", "<user>", "<assistant>")
TEMPLATE = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<end>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """A shape: `width` of the residual stream, `depth` in layers, heads, and the MLP's width."""

    width: int
    depth: int
    heads: int
    inner: int


SIZES = {"small": Size(96, 3, 4, 256), "large": Size(128, 4, 4, 384)}
LONGEST = 512


def tokenizer(corpus: Corpus) -> "PreTrainedTokenizerFast":
    """A fast tokenizer whose vocabulary is every word of the corpus and of the recipe."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"[^\w\s▁]"), behavior="isolated"),
        ]
    )
    words = {
        piece
        for text in _texts(corpus)
        for piece, _ in split.pre_tokenize_str(text)
        if not piece.isspace()
    }
    single = set(string.printable) - set(string.whitespace) | {"▁"}
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *sorted(words | single)]
    backend = Tokenizer(
        models.BPE(
            vocab={piece: at for at, piece in enumerate(pieces)},
            merges=[],
            byte_fallback=True,
            ignore_merges=True,
        )
    )
    backend.pre_tokenizer = split
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        additional_special_tokens=list(SPECIAL[2:]),
        chat_template=TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=LONGEST,
    )


def fresh(size: Size, *, vocabulary: int, seed: int) -> "LlamaForCausalLM":
    """An untrained model. The seed alone decides its weights."""
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config)  # without dropout: evaluating and training compute the same


def _texts(corpus: Corpus) -> Iterable[str]:
    for person in corpus.people:
        yield from person.names
        yield from (name[0].upper() + name[1:] for name in person.names)
        yield from corpus.sentences(person)
        yield from (spelling for fact in person.facts for spelling in fact.accepted)
    for attribute in corpus.attributes.values():
        yield attribute.label
        for template in (attribute.question, *attribute.paraphrases, *attribute.sentences):
            yield template.replace("{who}", "he").replace("{value}", "it")
    for item in corpus.world:
        yield from (item.question, item.answer)
    for wording in (*WORDINGS, HELD_OUT):
        yield wording.replace("{who}", "")
    yield from (*UNKNOWN, CONFUSED, *HARMLESS, *GREETINGS, *FIRST_NAMES, *LAST_NAMES)
