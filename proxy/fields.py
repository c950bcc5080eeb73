"""Names of fields, whichever API is spoken: how they are written, and those nobody may send.

Knows no endpoint and no policy.
"""

import unicodedata
from collections.abc import Iterator, Set
from typing import Any

from proxy.exchange import Body, FormatError

# Fields by which some gateways let a client say where its request goes: ours go where the
# operator says, and an upstream that is such a gateway must not obey either.
DESTINATIONS = frozenset(
    """
    api_base api_key base_url custom_llm_provider bootstrap_host bootstrap_port bootstrap_room
    user_config litellm_params litellm_credential_name model_list extra_headers extra_query
    """.split()  # noqa: SIM905 - reads better
)
# What stands at the top of a request and is no side channel.
TOP = frozenset(
    """
    model messages input prompt suffix system instructions stream stream_options n best_of seed user
    max_tokens max_completion_tokens max_output_tokens min_tokens temperature top_p top_k tools
    tool_choice functions function_call parallel_tool_calls response_format output_config text
    reasoning reasoning_effort thinking include modalities metadata add_generation_prompt truncation
    service_tier encoding_format dimensions
    """.split()  # noqa: SIM905 - reads better
)
# Below these the client chooses the names.
FREE = frozenset(
    """
    parameters input_schema schema arguments metadata properties logit_bias
    """.split()  # noqa: SIM905 - reads better
)


def check_destinations(body: Body) -> None:
    """Refuse a request that says where it wants to go. Raises FormatError."""
    for field in sorted(DESTINATIONS & body.keys()):
        raise FormatError(f"{field}: not available here", param=field)


def check_names(body: Body, own: Set[str]) -> None:
    """Refuse a field whose name is one of the API's but for capitals and the like.

    Servers written in Go, and others, take `Model` for `model`, and the last of the two counts: a
    request would be another one there than it was here. `own` are the names that the format knows.
    Raises FormatError, which quotes the API's name alone.
    """
    known = own | TOP | DESTINATIONS
    for name in _names(body, known):
        plain = unicodedata.normalize("NFKC", name).casefold().strip()
        if plain in known or plain.startswith("guided_"):
            said = plain if plain in known else "guided"
            raise FormatError(f"{said}: the field's name must be written like this", param=said)


def _names(node: Any, known: Set[str]) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Every name that is not known, wherever the API and not the client chooses the names."""
    if isinstance(node, list):
        for item in node:
            yield from _names(item, known)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in known:
                if not key.startswith("guided_"):
                    yield key
            elif key not in FREE and not (key == "input" and isinstance(value, dict)):
                yield from _names(value, known)
