"""Whatever the description allows, and what it forbids: no failure, no other shape, no secret.

`LETHE_SCHEMATHESIS_EXAMPLES` sets how many bodies are tried for each operation (default 40).
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from proxy.app import FORMATS
from proxy.chain import verify
from proxy.openapi import description
from tests.fuzz.house import Speaker, housed
from tests.fuzz.mutation import SECRET
from tests.fuzz.targets import heard
from tests.fuzz.wires import REQUESTS

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXAMPLES = int(os.environ.get("LETHE_SCHEMATHESIS_EXAMPLES", "40"))
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CONVERSATIONS = sorted(FORMATS)
PROBES = ["/v1/models", "/v1/models/{model}", "/healthz", "/readyz"]
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("house")
    with housed(folder, Speaker()) as url:
        yield url, folder


def _described() -> Any:
    return schemathesis.openapi.from_dict(description(FORMATS))


def test_the_description_is_valid_and_describes_what_is_served() -> None:
    _described().validate()
    assert FORMATS.keys() <= description()["paths"].keys()
    assert set(PROBES) <= description()["paths"].keys()
    assert "/v1/messages" not in description(["/v1/completions"])["paths"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.parametrize("path", [*CONVERSATIONS, *PROBES])
def test_any_request_gets_an_answer_of_the_described_shape(
    house: tuple[str, Path], path: str, mode: GenerationMode
) -> None:
    url, folder = house
    operation = _described()[path]["GET" if path in PROBES else "POST"]
    if path in PROBES and (mode is GenerationMode.NEGATIVE or "{" not in path):
        pytest.skip("nothing to vary")
    statuses: Counter[int] = Counter()
    before = _outcomes(folder / "audit.jsonl")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # what fails is shown as it is: each try is a conversation
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def tried(case: Any) -> None:
        began = time.monotonic()
        response = case.call(base_url=url, timeout=PATIENCE_S)
        assert time.monotonic() - began < PATIENCE_S
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        _holds(response.content, response.headers)

    tried()
    if mode is GenerationMode.POSITIVE and path in CONVERSATIONS:
        assert statuses[200], statuses  # or nothing was tested but refusals
    outcomes = _outcomes(folder / "audit.jsonl") - before
    assert outcomes.keys() <= {"answered", "rejected"}, outcomes


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_an_ordinary_request_is_answered_and_keeps_what_is_innocent(
    house: tuple[str, Path], path: str
) -> None:
    url, _ = house
    case = _described()[path]["POST"].Case(
        body={**REQUESTS[path][0]}, media_type="application/json"
    )
    answers = [case.call(base_url=url, timeout=PATIENCE_S) for _ in range(16)]
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        case.validate_response(answer, checks=CHECKS)
        _holds(answer.content, answer.headers)
    if path not in ("/v1/embeddings", "/v1/messages/count_tokens"):
        assert any(b"rains over Sarnholm" in answer.content for answer in answers)


def _outcomes(audit: Path) -> Counter[str]:
    assert verify(audit).first_broken is None
    return Counter(json.loads(line)["outcome"] for line in audit.read_text().splitlines())


def _holds(content: bytes, headers: Any) -> None:
    """No secret, and of a stream every event JSON to its end."""
    assert SECRET.encode() not in content
    if "text/event-stream" not in str(headers.get("content-type")):
        return
    events, good = heard([content], most=1 << 20)
    assert good
    for event in events:
        assert event.data == "[DONE]" or json.loads(event.data)
