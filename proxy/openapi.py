"""What Lethe serves, as OpenAPI 3.1: read from `openapi.yaml`, cut down to what is served here.

Knows no request: the door says which routes there are.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("openapi.yaml")


def description(routes: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the description; of conversations only those at `routes`, where these are given.

    Models and probes are always there. A new object each time: whoever gets it may change it.
    """
    whole: dict[str, Any] = yaml.safe_load(_FILE.read_text("utf-8"))
    if routes is not None:
        served = set(routes)
        paths = whole["paths"]
        whole["paths"] = {
            path: operations
            for path, operations in paths.items()
            if path in served or "post" not in operations
        }
    return whole
