"""Golden keys: the content key of every trial of every shipped sweep; of a searched one, of the corners of its space.

    python tests/golden/make_keys.py      writes keys.json anew

A key that changes orphans the runs under it: regenerate only where a shipped sweep was changed on purpose, and say so
in CHANGELOG.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
            for trial in _trials(spec.load(name))
        }
        for name in spec.shipped()
    }


def _trials(sweep: spec.Spec) -> Sequence[expand.Trial]:
    return expand.corner_trials(sweep) if sweep.search is not None else expand.expand(sweep)


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_keys(), indent=1) + "\n", encoding="utf-8")
