"""What a search has tried, as its figures see it: points that are over, in words, with importances that repeat."""

from __future__ import annotations

import math
from pathlib import Path

from orchestration.decisions import AnyDecision, Entry
from orchestration.search import Search
from orchestration.search_figures import searched
from sweeps.spec import Spec, parse

TEXT = """\
name: tried
epochs: 4
seeds: [1]
base:
  method: set
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 16, embedding_size: 16}
  sparsity: 0.5
  optimizer: {learning_rate: 1}
search: {num_trials: 12, sampler: random, seed: 1}
axes:
  - grid:
      method: [static, set]
      optimizer.learning_rate: {low: 0.1, high: 10, log: true}
      sparsity.removal_rate: {low: 0.1, high: 0.9, when: {method: set}}
"""


def tried(spec: Spec, *, num_open: int = 0, is_flat: bool = False) -> list[Entry]:
    """Ask for all points; a point is worth what its learning rate says, and the last ones are not over."""
    entries: list[Entry] = []

    def decide(decision: AnyDecision) -> None:
        entries.append(Entry(len(entries) + 1, decision))

    search = Search(spec, [], decide)
    asked = []
    while (point := search.ask()) is not None:
        asked.append(point)
    for point in asked[: len(asked) - num_open]:
        rate = float(point.point["optimizer.learning_rate"])
        search.tell(point.number, [100.0 if is_flat else 100.0 + 50 * abs(math.log(rate))])
    return entries


def test_points_that_are_over_have_values_of_every_axis_that_they_have() -> None:
    spec = parse(TEXT.encode(), Path("tried.yaml"))
    found = searched(spec, tried(spec, num_open=2))
    assert found is not None
    assert len(found.values) == len(found.numbers) == 10
    methods = {one.name: one for one in found.parameters}["method"]
    rates = {one.name: one for one in found.parameters}["sparsity.removal_rate"]
    assert set(methods.values) == {"static", "set"}
    assert all(
        (rate is None) == (method == "static") for rate, method in zip(rates.values, methods.values, strict=True)
    )


def test_what_decides_has_the_largest_importance_and_the_same_one_again() -> None:
    spec = parse(TEXT.encode(), Path("tried.yaml"))
    entries = tried(spec)
    found, again = searched(spec, entries), searched(spec, entries)
    assert found is not None
    assert found == again
    importances = {one.name: one.importance for one in found.parameters}
    assert importances["sparsity.removal_rate"] is None
    assert (importances["optimizer.learning_rate"] or 0.0) > 0.5 > (importances["method"] or 0.0)
    assert {one.name for one in found.parameters if one.is_log} == {"optimizer.learning_rate"}


def test_points_that_are_all_worth_the_same_tell_no_importance() -> None:
    spec = parse(TEXT.encode(), Path("tried.yaml"))
    found = searched(spec, tried(spec, is_flat=True))
    assert found is not None
    assert all(one.importance is None for one in found.parameters)


def test_a_sweep_without_a_search_has_tried_nothing() -> None:
    text = TEXT.replace("search: {num_trials: 12, sampler: random, seed: 1}\n", "").split("axes:")[0]
    assert searched(parse(text.encode(), Path("plain.yaml")), []) is None
