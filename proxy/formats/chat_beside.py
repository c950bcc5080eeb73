"""What stands beside a chat answer's words, citations and log probabilities: known fields only.

Knows no stream and no policy. Shapes: the pages named in `proxy.formats.chat`.
"""

import json
from typing import Any

from proxy.exchange import Body

MOST_CITATIONS = 256  # of a choice; each is judged on its own
CITED: dict[str, dict[str, type]] = {
    "url_citation": {
        "url": str,
        "title": str,
        "content": str,
        "start_index": int,
        "end_index": int,
    },
    "file_citation": {
        "file_id": str,
        "filename": str,
        "quote": str,
        "index": int,
        "start_index": int,
        "end_index": int,
    },
}
TOKEN: dict[str, tuple[type, ...]] = {"token": (str,), "logprob": (int, float)}


def citation(annotation: object) -> str | None:
    """An annotation's known fields as JSON text, to be judged; None for one of no known kind."""
    if not isinstance(annotation, dict):
        return None
    kind = annotation.get("type")
    said = annotation.get(kind) if isinstance(kind, str) and kind in CITED else None
    if not isinstance(kind, str) or not isinstance(said, dict):
        return None
    kept = {key: said[key] for key, shape in CITED[kind].items() if type(said.get(key)) is shape}
    return json.dumps({"type": kind, kind: kept}, ensure_ascii=False)


def tokens(items: Any) -> list[Body]:  # noqa: ANN401 - any JSON value
    """Tokens with their log probabilities and their alternatives; what is none is left out."""
    listed = items if isinstance(items, list) else []
    return [
        {**_token(item), "top_logprobs": [_token(other) for other in _objects(item)]}
        for item in listed
        if isinstance(item, dict)
    ]


def _objects(item: Body) -> list[Body]:
    others = item.get("top_logprobs")
    return [one for one in others if isinstance(one, dict)] if isinstance(others, list) else []


def _token(item: Body) -> Body:
    kept = {key: item[key] for key, shapes in TOKEN.items() if type(item.get(key)) in shapes}
    raw = item.get("bytes")
    is_raw = isinstance(raw, list) and all(type(one) is int for one in raw)
    return {**kept, "bytes": raw if is_raw else None}
