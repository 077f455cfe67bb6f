"""No change of the code moves a shipped trial to another key."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

MAKE = Path(__file__).with_name("make_keys.py")


def test_shipped_sweeps_have_their_golden_keys() -> None:
    made = runpy.run_path(str(MAKE))
    assert made["golden_keys"]() == json.loads(made["FILE"].read_text(encoding="utf-8"))
