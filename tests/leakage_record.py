"""One record of a leaking answer, for tests to vary."""

from leakage.records import Record

RECORD = Record(
    run="r",
    at="2026-01-01T00:00:00+00:00",
    scorer=2,
    arm="base",
    probe="a.1",
    concept="a",
    split="forget",
    kind="direct",
    draw=0,
    streamed=False,
    answered=True,
    leak=True,
    blocked=None,
    refused=False,
    score=1.0,
    finish_reason="stop",
    status=200,
    error=None,
    attempts=1,
    latency_s=0.1,
    first_token_s=None,
    tokens_in=1,
    tokens_out=1,
    answer_sha256="",
)
