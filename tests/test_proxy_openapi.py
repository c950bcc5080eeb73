"""The description of what is served: valid, complete, and true of the requests that SDKs send."""

import json
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from proxy.app import FORMATS
from proxy.openapi import description
from tests.fuzz.wires import REQUESTS, STREAMS, WHOLES

PROBES = {"/v1/models", "/v1/models/{model}", "/healthz", "/readyz"}
SERVED = sorted(FORMATS.keys() & REQUESTS.keys())


def _schema(path: str, *steps: str) -> Any:
    """A schema of an operation, with the components that it points to beside it."""
    whole = description()
    node: Any = whole["paths"][path]["post"]
    for step in steps:
        node = node[step]
        while "$ref" in node and step != "schema":
            found: Any = whole
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
    return jsonschema_rs.validator_for({**node, "components": whole["components"]})


def _request(path: str) -> Any:
    return _schema(path, "requestBody", "content", "application/json", "schema")


def test_the_description_is_valid_and_leaves_nothing_out() -> None:
    whole = description()
    schemathesis.openapi.from_dict(whole).validate()
    assert whole["openapi"] == "3.1.0"
    assert set(FORMATS) | PROBES <= whole["paths"].keys()
    assert len(whole["paths"]) == 11
    json.dumps(whole)


def test_it_can_be_cut_down_to_what_is_served_and_changed_by_whoever_gets_it() -> None:
    cut = description(["/v1/messages", "/v1/unheard-of"])
    assert cut["paths"].keys() == PROBES | {"/v1/messages"}
    cut.clear()
    assert description()["paths"]


def test_every_conversation_says_how_it_fails_and_how_it_streams() -> None:
    for path, operations in description()["paths"].items():
        for operation in operations.values():
            assert "200" in operation["responses"]
            if path.startswith("/v1"):
                assert {"4XX", "5XX"} <= operation["responses"].keys()
            if path in STREAMS:
                assert "text/event-stream" in operation["responses"]["200"]["content"]


@pytest.mark.parametrize("path", SERVED)
def test_it_takes_what_formats_take_and_refuses_what_they_refuse(path: str) -> None:
    validator = _request(path)
    for body in REQUESTS[path]:
        FORMATS[path].read(body)
        assert validator.is_valid(body), [str(error) for error in validator.iter_errors(body)]
        assert not validator.is_valid({key: body[key] for key in body if key != "model"})
        assert not validator.is_valid({**body, "model": 7})
    assert not validator.is_valid([])


@pytest.mark.parametrize("path", SERVED)
def test_it_describes_answers_and_errors_as_they_are(path: str) -> None:
    wire = FORMATS[path]
    answer = wire.answer(wire.read({**REQUESTS[path][0], "stream": False}))
    body = answer.response(answer.whole(WHOLES[path](["It rains."])))
    good = _schema(path, "responses", "200", "content", "application/json", "schema")
    assert good.is_valid(body), [str(error) for error in good.iter_errors(body)]
    bad = _schema(path, "responses", "4XX", "content", "application/json", "schema")
    for status in (400, 401, 404, 429, 500, 502, 503):
        assert bad.is_valid(wire.error("No.", status=status))
    assert not bad.is_valid(body)
