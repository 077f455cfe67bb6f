"""The spec in the README is one: it expands to the trials that it promises."""

from __future__ import annotations

import re
from pathlib import Path

from sweeps.expand import expand
from sweeps.spec import parse

README = Path(__file__).parents[2] / "README.md"


def test_the_spec_in_the_readme_expands() -> None:
    text = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert text is not None
    trials = expand(parse(text.group(1).encode(), Path("my-first.yaml")))
    assert len(trials) == 15
    assert {trial.config.method for trial in trials} == {"set", "selfish"}
