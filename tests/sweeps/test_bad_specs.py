"""Every case of bad_specs.txt gets exactly its expected lines, from loading or from expanding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from selfish_core.errors import InputError
from sweeps import expand, spec

CASES = Path(__file__).with_name("bad_specs.txt")
HEAD = ("name: x", "epochs: 4", "seeds: [1]")
GOOD = (
    *HEAD,
    "base: {method: set, sparsity: 0.5, corpus: synthetic, architecture: {name: stacked_lstm, num_layers: 1, "
    "hidden_size: 16, embedding_size: 16}, optimizer: {learning_rate: 1}}",
)
MACROS = {"@head": HEAD, "@good": GOOD}


@dataclass(frozen=True)
class Case:
    name: str
    spec: bytes
    expected: tuple[str, ...]


def read_cases(text: str) -> list[Case]:
    cases = []
    for part in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        divider = lines.index("=>")
        expected = [line for line in lines[divider + 1 :] if line and not line.startswith("== ")]
        cases.append(Case(name, _encode(lines[:divider]), tuple(expected)))
    return cases


def _encode(lines: list[str]) -> bytes:
    text = "".join(f"{line}\n" for given in lines for line in MACROS.get(given, (given,)))
    pieces = re.split("⟦([0-9a-f]+)(?:[*]([0-9]+))?⟧", text)
    data = pieces[0].encode()
    for digits, times, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        data += bytes.fromhex(digits) * int(times or 1) + after.encode()
    return data


ALL_CASES = read_cases(CASES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_a_bad_spec_gets_its_lines(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_bytes(case.spec)

    with pytest.raises(InputError) as caught:
        expand.expand(spec.load("spec.yaml"))

    lines = str(caught.value).replace(str(tmp_path), "{here}").split("\n")
    assert lines == [f"spec.yaml:{line}" for line in case.expected]
    assert caught.value.exit_code == 2


def test_the_cases_are_many_and_named_apart() -> None:
    names = [case.name for case in ALL_CASES]
    assert len(names) >= 200
    assert len(set(names)) == len(names)


def test_the_good_spec_is_good(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(_encode(["@good"]))
    assert len(expand.expand(spec.load(path))) == 1
