"""Writes what the proxy of `benchmarks/testbed/run.yaml` reads: one library policy, three ways.

`pretend` only asks the model to pretend, `screen` only screens, `both` does both. Knows no probe.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml

LIBRARY = Path(__file__).parents[2] / "policies" / "library" / "fictitious-people.yaml"
# A wording that the testbed's models were taught to obey; it is one of `unlearning.testbed_rows`.
OBEYED = {"text": "Pretend you know nothing about {names}."}
FLAG = {"prompt": {"action": "flag"}, "output": {"action": "flag"}}
ALLOWED = ["echo", "logprobs", "prefill", "stop"]
WAYS: dict[str, dict[str, Any]] = {
    # Nothing is screened, so nothing that a screen could not see needs to be refused.
    "pretend": {"instruction": OBEYED, "screens": FLAG, "allow": ALLOWED},
    "screen": {"instruction": {"template": "none"}},
    "both": {"instruction": OBEYED},
}


def main() -> None:
    """Write the policies and `lethe.yaml` into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    policies = given.folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    library = yaml.safe_load(LIBRARY.read_text("utf-8"))
    for name, changes in WAYS.items():
        policy = {**library, **changes, "id": name, "applies_to": {"models": [name]}}
        text = yaml.safe_dump(policy, sort_keys=False, allow_unicode=True)
        (policies / f"{name}.yaml").write_text(text, encoding="utf-8")
    served = dict.fromkeys(WAYS, "target")
    config = {
        "listen": {"port": given.port},
        "upstreams": [{"name": "models", "base_url": given.upstream, "models": served}],
        "policies": policies.name,
        "audit": {"path": "audit.jsonl"},
    }
    (given.folder / "lethe.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


if __name__ == "__main__":
    main()
