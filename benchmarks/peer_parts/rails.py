"""NeMo-Guardrails, embeddings only: a user intent a person, whose examples are its sentences.

A dialog rail that needs no model: a message takes the intent of its nearest example, or another
intent below a similarity, and each person's is refused. The similarity is the library's own, which
rises with the cosine. Rails of this kind see messages of users: answers are put to them as such.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.detection_parts.vectors import Kept
from benchmarks.peer_parts.asked import Peer, Rows, Values, asked, at_shares
from classifiers.encoder import Vectors

ENGINE = "same"  # the Screen's own encoder
REFUSED, PASSED = "I do not know.", "Go on."
CHECKED = 200  # texts that go through the whole library
ROUNDING = 1e-5
SETTINGS = """
models: []
core:
  embedding_search_provider:
    name: default
    parameters: {{embedding_engine: {engine}, embedding_model: any}}
rails:
  dialog:
    user_messages:
      embeddings_only: true
      embeddings_only_similarity_threshold: {threshold}
      embeddings_only_fallback_intent: ask other
"""
FLOWS = f"""
define bot refuse
  "{REFUSED}"
define bot pass
  "{PASSED}"
define flow other
  user ask other
  bot pass
"""
FLOW = """
define user ask about {at}
  "person {at}"
define flow {at}
  user ask about {at}
  bot refuse
"""


def peer(people: Sequence[Person], encoder: Kept) -> Peer:
    """An intent a person. Raises ImportError."""
    from nemoguardrails import __version__  # noqa: PLC0415 (a peer's own environment)

    logging.getLogger("nemoguardrails").setLevel(
        logging.ERROR
    )  # it misses a model that it needs not
    _registered(encoder)
    strict = _rails(people, 1.0)

    def rows(probes: Sequence[Probe]) -> Rows:
        return _measured(people, probes, encoder)

    return Peer(f"NeMo-Guardrails {__version__}", lambda text: _refused(strict, text), rows)


def _registered(encoder: Kept) -> None:
    from nemoguardrails.embeddings.providers import register_embedding_provider  # noqa: PLC0415
    from nemoguardrails.embeddings.providers.base import EmbeddingModel  # noqa: PLC0415

    class Same(EmbeddingModel):  # type: ignore[misc]
        """The Screen's own encoder."""

        engine_name = ENGINE

        def __init__(self, embedding_model: str) -> None:
            self.embedding_model = embedding_model

        def encode(self, documents: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = encoder.encode(documents).tolist()
            return vectors

        async def encode_async(self, documents: list[str]) -> list[list[float]]:
            return self.encode(documents)

    register_embedding_provider(Same)


def _rails(people: Sequence[Person], threshold: float) -> Any:  # noqa: ANN401 (a peer's class)
    """Rails as its documentation makes them, held to a similarity."""
    from nemoguardrails import LLMRails, RailsConfig  # noqa: PLC0415

    config = RailsConfig.from_content(
        colang_content=FLOWS + "".join(FLOW.format(at=at) for at in range(len(people))),
        yaml_content=SETTINGS.format(engine=ENGINE, threshold=threshold),
    )
    # Not in Colang, which leaves a backslash before a quotation mark.
    config.user_messages = {f"ask about {at}": list(one.sentences) for at, one in enumerate(people)}
    return LLMRails(config)


def _refused(rails: Any, text: str) -> bool:  # noqa: ANN401
    said = rails.generate(messages=[{"role": "user", "content": text}])["content"]
    if said not in (REFUSED, PASSED):
        raise RuntimeError("NeMo-Guardrails answers in words that it was not given")
    return bool(said == REFUSED)


def _measured(people: Sequence[Person], probes: Sequence[Probe], encoder: Kept) -> Rows:
    examples = encoder.encode([text for one in people for text in one.sentences])
    rows: Rows = {}
    for name, texts in asked(probes).items():
        every = list(dict.fromkeys(text for some in texts for text in some))
        values = similar(encoder.encode(every), examples)
        _check(people, dict(zip(every, values.tolist(), strict=True)))
        place = {text: at for at, text in enumerate(every)}
        highest = np.array([max(values[place[text]] for text in some) for some in texts])
        rows |= at_shares(name, highest, probes)
    return rows


def similar(texts: Vectors, examples: Vectors) -> Values:
    """The library's similarity of each text to its nearest example: half the distance, from 1."""
    cosine = np.max(texts @ examples.T, axis=1)
    return np.asarray(1 - np.sqrt(np.maximum(2 - 2 * cosine, 0)) / 2, dtype=np.float64)


def _check(people: Sequence[Person], values: Mapping[str, float]) -> None:
    """The whole library decides on some texts as their similarities say."""
    texts = list(values)[:: max(1, len(values) // CHECKED)]
    limit = float(np.median([values[text] for text in texts])) + ROUNDING
    rails = _rails(people, limit)
    for text in texts:
        clear = abs(values[text] - limit) > ROUNDING / 2
        if clear and _refused(rails, text) != (values[text] >= limit):
            raise RuntimeError("NeMo-Guardrails decides otherwise than by the nearest example")
