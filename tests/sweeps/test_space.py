"""The space of a searched sweep: what it holds, how its points are made and found again, and its corners."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from selfish_core.errors import ProblemsError
from sweeps import spec
from sweeps.expand import corner_trials, expand, point_trials
from sweeps.space import MAX_CORNERS, Choice, Range, Space

Read = Callable[[str], spec.Spec]
SEARCH = "search: {num_trials: 40}\naxes:\n  - "
CONDITIONAL = (
    "grid: {sparsity.removal_rate: {low: 0.1, high: 0.9, when: {method: [set, selfish]}}, "
    "method: [static, set, selfish], architecture.hidden_size: {low: 8, high: 64, log: true}, "
    "sparsity.regrowth: {choices: [random, gradient], when: {method: set}}}\n"
    "    zip: {sparsity: [0.5, 0.8], training.batch_size: [5, 10]}"
)


@pytest.fixture
def space(read: Read) -> Callable[[str], Space]:
    """Read the space of a search over one block."""

    def read_space(block: str) -> Space:
        found = read(SEARCH + block).space
        assert found is not None
        return found

    return read_space


def names(point: object) -> list[tuple[str, object]]:
    return [(setting.name, setting.value) for setting in point]  # type: ignore[attr-defined]  # a Point


def test_axes_without_a_condition_come_first(space: Callable[[str], Space]) -> None:
    found = space(CONDITIONAL)
    assert [axis.name for axis in found.axes] == [
        *("method", "architecture.hidden_size", "zip"),
        *("sparsity.removal_rate", "sparsity.regrowth"),
    ]
    assert found.has_conditions


def test_a_range_is_of_its_fields_type(space: Callable[[str], Space]) -> None:
    rate, size = space(
        "grid: {optimizer.learning_rate: {low: 1, high: 9}, architecture.hidden_size: {low: 8, high: 9}}"
    ).axes
    assert isinstance(rate, Range)
    assert isinstance(size, Range)
    assert (rate.is_whole, size.is_whole) == (False, True)
    assert [type(axis.at(8.4)[0].value) for axis in (rate, size)] == [float, int]


@pytest.mark.parametrize(("number", "expected"), [(0.1, 0.1), (0.30000000000000004, 0.3), (0.7000001, 0.7), (0.9, 0.9)])
def test_steps_are_written_as_people_would(number: float, expected: float, space: Callable[[str], Space]) -> None:
    """So that a searched trial has the key of one in a grid."""
    (axis,) = space("grid: {sparsity.removal_rate: {low: 0.1, high: 0.9, step: 0.1}}").axes
    assert isinstance(axis, Range)
    assert axis.at(number)[0].value == expected


def test_a_number_has_six_digits_and_stays_in_its_range(space: Callable[[str], Space]) -> None:
    (axis,) = space("grid: {optimizer.learning_rate: {low: 0.12345678, high: 9.9999999, log: true}}").axes
    assert isinstance(axis, Range)
    assert axis.at(0.26358449231681763)[0].value == 0.263584
    assert [setting.value for (setting,) in axis.corners()] == [0.123457, 9.9999999]


def test_a_point_is_made_of_the_axes_that_are_there(space: Callable[[str], Space]) -> None:
    found = space(CONDITIONAL)
    asked = []

    def first(axis: object) -> object:
        asked.append(axis.name)  # type: ignore[attr-defined]
        return axis.corners()[0]  # type: ignore[attr-defined]

    point = found.make(first)  # type: ignore[arg-type]
    assert asked == ["method", "architecture.hidden_size", "zip"]
    assert names(point) == [
        ("method", "static"),
        ("architecture.hidden_size", 8),
        ("sparsity", 0.5),
        ("training.batch_size", 5),
    ]


def test_every_corner_is_found_again(space: Callable[[str], Space]) -> None:
    found = space(CONDITIONAL)
    for corner in found.corners():
        taken = found.find(dict(names(corner)))
        assert taken is not None
        assert sorted(names(setting for option in taken.values() for setting in option)) == sorted(names(corner))


@pytest.mark.parametrize(
    "values",
    [
        {"method": "static", "architecture.hidden_size": 8},
        {"method": "static", "architecture.hidden_size": 8, "sparsity": 0.5, "training.batch_size": 10},
        {"method": "static", "architecture.hidden_size": 7, "sparsity": 0.5, "training.batch_size": 5},
        {"method": "static", "architecture.hidden_size": 8.5, "sparsity": 0.5, "training.batch_size": 5},
        {"method": "static", "architecture.hidden_size": True, "sparsity": 0.5, "training.batch_size": 5},
        {"method": "dense", "architecture.hidden_size": 8, "sparsity": 0.5, "training.batch_size": 5},
        {
            "method": "static",
            "architecture.hidden_size": 8,
            "sparsity": 0.5,
            "training.batch_size": 5,
            "sparsity.removal_rate": 0.5,
        },
    ],
)
def test_what_is_no_point_is_not_found(values: dict[str, object], space: Callable[[str], Space]) -> None:
    assert space(CONDITIONAL).find(values) is None  # type: ignore[arg-type]


def test_corners_hold_every_pair_that_can_be(space: Callable[[str], Space]) -> None:
    found = space(CONDITIONAL)
    corners = [dict(names(corner)) for corner in found.corners()]
    options = [
        [{name: value} for name, value in itertools.product([axis.name], {s.value for (s,) in axis.corners()})]
        for axis in found.axes
        if axis.name != "zip"
    ]
    for one, other in itertools.combinations(options, 2):
        for left, right in itertools.product(one, other):
            pair = {**left, **right}
            can_be = {
                "sparsity.removal_rate": pair.get("method") != "static",
                "sparsity.regrowth": pair.get("method") in (None, "set"),
            }
            assert any(pair.items() <= corner.items() for corner in corners) == all(can_be.get(n, True) for n in pair)


def test_corners_are_each_another_one_and_not_too_many(space: Callable[[str], Space]) -> None:
    sizes = ", ".join(str(size) for size in range(1, 60))
    found = space(f"grid: {{architecture.hidden_size: [{sizes}], architecture.embedding_size: [{sizes}]}}")
    corners = [tuple(names(corner)) for corner in found.corners()]
    assert len(set(corners)) == len(corners) == MAX_CORNERS


def test_a_single_axis_has_corners(space: Callable[[str], Space]) -> None:
    found = space("grid: {sparsity.removal_rate: {low: 0.1, high: 0.9}}")
    assert [names(corner) for corner in found.corners()] == [
        [("sparsity.removal_rate", 0.1)],
        [("sparsity.removal_rate", 0.9)],
    ]


def test_options_that_say_the_same_are_one(space: Callable[[str], Space]) -> None:
    (axis,) = space("list: [{sparsity: 0.5}, {sparsity: 0.8}, {sparsity: 0.5}]").axes
    assert isinstance(axis, Choice)
    assert axis.labels == ("sparsity=0.5", "sparsity=0.8")


def test_a_condition_may_name_a_field_that_only_some_items_have(space: Callable[[str], Space]) -> None:
    found = space(
        "list: [{method: static}, {method: set, sparsity.regrowth: gradient}]\n"
        "    grid: {sparsity.removal_rate: {low: 0.1, high: 0.9, when: {sparsity.regrowth: gradient}}}"
    )
    assert sorted(len(corner) for corner in found.corners()) == [1, 3, 3]


def test_a_searched_sweep_has_a_space_and_no_blocks(read: Read) -> None:
    sweep = read(SEARCH + CONDITIONAL)
    assert sweep.axes == ()
    assert sweep.space is not None
    assert tuple(expand(sweep)) == ()


def test_a_point_has_a_trial_for_each_seed(read: Read) -> None:
    sweep = read(SEARCH + CONDITIONAL)
    point = {"method": "set", "sparsity": 0.5, "sparsity.removal_rate": 0.25, "training.batch_size": 5}
    trials = point_trials(sweep, point)
    assert [trial.config.seed for trial in trials] == [1, 2]
    assert [trial.point for trial in trials] == [point, point]
    assert trials[0].config.sparsity.removal_rate == 0.25
    assert trials[0].key == trials[0].config.key()


def test_a_point_that_is_no_trial_is_told_at_its_axis(read: Read) -> None:
    sweep = read(SEARCH + "grid:\n      method: [set, static]\n      sparsity: [0.5, 0.8]")
    with pytest.raises(ProblemsError, match=r"spec.yaml:12: a dense trial has sparsity 0"):
        point_trials(sweep, {"method": "dense", "sparsity": 0.5})


def test_a_point_that_is_excluded_has_no_trials(read: Read) -> None:
    sweep = read(SEARCH + CONDITIONAL + "\nexclude: [{method: set, sparsity: 0.8}, {method: static, seed: 1}]")
    assert point_trials(sweep, {"method": "set", "sparsity": 0.8}) == ()
    assert [trial.config.seed for trial in point_trials(sweep, {"method": "static", "sparsity": 0.5})] == [2]


def test_the_corners_are_trials_of_a_plain_sweep_too(read: Read) -> None:
    sweep = read(SEARCH + "grid: {method: [set], sparsity: [0.5, 0.8], optimizer.learning_rate: {low: 1, high: 2}}")
    grid = read("axes: [{grid: {method: [set], sparsity: [0.5, 0.8], optimizer.learning_rate: [1.0, 2.0]}}]")
    assert {trial.key for trial in corner_trials(sweep)} == {trial.key for trial in expand(grid)}


def test_a_small_space_is_noted(read: Read) -> None:
    (note,) = expand(read(SEARCH + "grid: {method: [set, static], sparsity: [0.5, 0.8]}")).notes
    assert note.endswith("spec.yaml:8: the axes have 4 points: without the search, each would run once")
    assert expand(read(SEARCH + "grid: {method: [set, static], sparsity: {low: 0.5, high: 0.8}}")).notes == ()


def test_the_spec_of_the_documentation_is_the_shipped_one() -> None:
    folder = Path(spec.__file__).parent
    page = (folder.parent / "docs" / "search.md").read_text(encoding="utf-8")
    text = re.search(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert text is not None
    shipped = (folder / "quickstart-search.yaml").read_text(encoding="utf-8")
    assert all(line in shipped.splitlines() for line in text.group(1).splitlines())


def test_every_kind_of_axis_in_the_documentation_can_be_read(space: Callable[[str], Space]) -> None:
    page = (Path(spec.__file__).parents[1] / "docs" / "search.md").read_text(encoding="utf-8")
    axes = re.findall(r"^\| `((?:\w+\.)?\w+: [\[{].*?)` \|", page, flags=re.MULTILINE)
    assert len(axes) == 6
    grid = ", ".join({axis.partition(":")[0]: axis for axis in axes}.values())
    assert [type(axis) for axis in space(f"grid: {{{grid}}}").axes].count(Range) == 3
