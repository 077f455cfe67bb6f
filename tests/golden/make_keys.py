"""Golden keys: the content key of every trial of every shipped sweep.

    python tests/golden/make_keys.py      writes keys.json anew

A key that changes orphans the runs under it: regenerate only where a shipped sweep was changed on purpose, and say so
in CHANGELOG.
"""

from __future__ import annotations

import json
from pathlib import Path

from sweeps import expand, spec

FILE = Path(__file__).with_name("keys.json")


def golden_keys() -> dict[str, dict[str, str]]:
    """Return sweep -> point and seed -> key."""
    return {
        name: {
            ", ".join(
                f"{field}={value}" for field, value in {**trial.point, "seed": trial.config.seed}.items()
            ): trial.key
            for trial in expand.expand(spec.load(name))
        }
        for name in spec.shipped()
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_keys(), indent=1) + "\n", encoding="utf-8")
