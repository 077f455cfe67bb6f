"""Whatever the bytes and the structure: a spec expands, or gets lines of the known form; nothing else is raised."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfish_core.errors import InputError
from sweeps import expand, spec

HERE = Path(__file__).parent / "nowhere.yaml"
SHIPPED = {name: path.read_bytes() for name, path in spec.shipped().items()}
LINE = re.compile(r"[^\n]*nowhere\.yaml:[1-9][0-9]*: \S[^\n]*")
quick = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

PIECES = [
    b"",
    b"\t",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"'",
    b'"',
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b": ",
    b"- ",
    b"? ",
    b"\n",
]
PIECES += [
    b"#",
    b"&a ",
    b"*a",
    b"!!python/name:os.system ",
    b"%YAML 1.1\n",
    b"---\n",
    b"<<: ",
    b"|\n",
    b">-\n",
    b"\\x",
    b".",
]
PIECES += [
    b".nan",
    b"-.inf",
    b"1e999",
    b"1e-3",
    b"0123",
    b"no",
    b"null",
    b"~",
    b"\r",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"seed: 1",
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    10**40,
    0.5,
    1.0,
    -0.0,
    1e300,
    "",
    "no",
    "0.5",
    "\u202e",
    "é",
    "x" * 5000,
]
VALUES += [
    [],
    {},
    [[]],
    [{}],
    {"": 1},
    [1, 2],
    {"a": {"b": [1]}},
    "set",
    "dense",
    "adam",
    "folder",
    "ptb",
    "../..",
    "random",
    [None],
]
KEYS = [
    "",
    "seed",
    "method",
    "sparsity",
    "sparsity.level",
    "optimizer",
    "corpus.path",
    "path",
    "grid",
    "zip",
    "list",
    "low",
    "high",
    "log",
    "step",
    "when",
    "choices",
    "search",
    "num_trials",
    "keep",
    "execution",
    "early_stopping",
    "é",
    "<<",
]


def check(data: bytes) -> None:
    """Expand, or see that the error is made of lines that say where."""
    try:
        expand.expand(spec.parse(data, HERE))
    except InputError as error:
        lines = str(error).split("\n")
        assert all(LINE.fullmatch(line) for line in lines), lines
        assert len(lines) == len(set(lines))


@quick
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    check(data)


@quick
@given(
    st.sampled_from(sorted(SHIPPED)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), max_size=4),
)
def test_shipped_specs_with_pieces_put_in(name: str, edits: list[tuple[float, int, bytes]]) -> None:
    data = SHIPPED[name]
    for where, length, piece in edits:
        start = int(where * len(data))
        data = data[:start] + piece + data[start + length :]
    check(data)


@quick
@given(
    st.sampled_from(sorted(SHIPPED)), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_shipped_specs_with_bytes_changed(name: str, edits: list[tuple[int, int]]) -> None:
    data = bytearray(SHIPPED[name])
    for where, byte in edits:
        data[where % len(data)] = byte
    check(bytes(data))


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_specs_cut_short(name: str) -> None:
    for length in range(0, len(SHIPPED[name]), 23):
        check(SHIPPED[name][:length])


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every container with every key in it."""
    keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    return [(data, key) for key in keys] + [place for key in keys for place in places(data[key])]


def mutate(data: Any, rng: random.Random) -> None:
    """Change one place: its value, its key, or whether it is there."""
    container, key = rng.choice(places(data))
    kind = rng.randrange(5)
    if kind == 0 and isinstance(container, dict):
        container[rng.choice(KEYS)] = container.pop(key)
    elif kind == 1:
        del container[key]
    elif kind == 2:
        other, other_key = rng.choice(places(data))
        container[key] = json.loads(json.dumps(other[other_key]))
    elif kind == 3 and isinstance(container, list):
        container.append(json.loads(json.dumps(container[key])))
    else:
        container[key] = json.loads(json.dumps(rng.choice(VALUES)))


@quick
@given(st.sampled_from(sorted(SHIPPED)), st.integers(0, 2**32), st.integers(1, 3))
def test_shipped_specs_with_another_structure(name: str, seed: int, count: int) -> None:
    rng = random.Random(seed)
    data = json.loads(json.dumps(spec.load(name).document.data))
    for _ in range(count):
        if data:
            mutate(data, rng)
    check(json.dumps(data, ensure_ascii=bool(seed % 2)).encode())


def trials_of(sweep: spec.Spec) -> Sequence[expand.Trial]:
    """Every trial; of a searched sweep, those of the corners of its space."""
    return expand.corner_trials(sweep) if sweep.search is not None else expand.expand(sweep)


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same mappings in another order; lists as they are."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@settings(quick, max_examples=40)
@given(st.sampled_from(sorted(SHIPPED)), st.randoms(use_true_random=False))
def test_reordered_and_commented_specs_have_the_same_keys(name: str, rng: random.Random) -> None:
    sweep = spec.load(name)
    text = json.dumps(shuffled(sweep.document.data, rng), indent=rng.choice([1, 2, 4]))
    text = "".join(f"{line}  # {rng.random()}\n" for line in ["", *text.split("\n")])
    keys = {trial.key for trial in trials_of(spec.parse(text.encode(), sweep.path))}
    assert keys == {trial.key for trial in trials_of(sweep)}


@pytest.mark.slow
@settings(quick, max_examples=10_000)
@given(st.sampled_from(sorted(SHIPPED)), st.integers(0, 2**32), st.integers(1, 6))
def test_ten_thousand_other_structures(name: str, seed: int, count: int) -> None:
    test_shipped_specs_with_another_structure.hypothesis.inner_test(name, seed, count)
