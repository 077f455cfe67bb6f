"""Published numbers: what the file may hold, and the headline ones typed by hand."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from results.published import NOT_PUBLISHED, Published, parse, published
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import CORPORA
from selfish_core.catalogue.methods import METHODS
from selfish_core.errors import ProblemsError

ROWS = list(published().values())

SMALL = """\
sources: {here: example.org}
rows:
  ptb/rhn/selfish: {method: selfish, test_perplexity: 60.35, source: here}
"""


@pytest.mark.parametrize(
    ("row_id", "val", "val_std", "test", "test_std"),
    [
        ("ptb/stacked_lstm/selfish", 73.79, None, 71.65, None),
        ("ptb/rhn/selfish", 62.10, None, 60.35, None),
        ("ptb/on_lstm/selfish", 58.17, 0.06, 56.31, 0.10),
        ("ptb/on_lstm/selfish_1300", 57.67, 0.03, 55.82, 0.11),
        ("wikitext-2/awd_lstm_mos/selfish", 65.96, None, 63.05, None),
        ("ptb/stacked_lstm/hyperpruning", 72.27, None, 69.73, None),
        ("ptb/stacked_lstm/dense", 72.73, None, None, None),
        ("ptb/stacked_lstm/zaremba_large", 82.2, None, 78.4, None),
        ("ptb/rhn/dense", 67.9, None, 65.4, None),
        ("ptb/rhn/iss", None, None, None, None),
        ("ptb/on_lstm/dense", None, None, 56.17, None),
        ("wikitext-2/awd_lstm_mos/dense_finetuned", 63.88, None, 61.45, None),
    ],
)
def test_the_headline_numbers(
    row_id: str, val: float | None, val_std: float | None, test: float | None, test_std: float | None
) -> None:
    row = published()[row_id]
    assert (row.val_perplexity, row.val_std, row.test_perplexity, row.test_std) == (val, val_std, test, test_std)


def test_the_sparsities_of_selfish() -> None:
    sparsities = {row.id: row.sparsity for row in ROWS if row.method == "selfish"}
    assert sparsities == {
        "ptb/stacked_lstm/selfish": 0.67,
        "ptb/rhn/selfish": 0.53,
        "ptb/on_lstm/selfish": 0.55,
        "ptb/on_lstm/selfish_1300": 0.55,
        "wikitext-2/awd_lstm_mos/selfish": 0.55,
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_has_a_source_that_can_be_looked_up_and_says_something(row: Published) -> None:
    assert re.search(r"github\.(com|io)/", row.source)
    assert (row.val_perplexity, row.test_perplexity, row.num_parameters) != (None, None, None)
    assert row.note or row.test_perplexity
    assert not row.note.endswith(".")
    assert not row.source.endswith(".")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_is_of_things_that_the_catalogue_knows(row: Published) -> None:
    assert row.corpus in CORPORA
    assert row.model in ARCHITECTURES
    assert row.method in METHODS
    assert row.id.startswith(f"{row.corpus}/{row.model}/{row.method}") or row.method == "dense"


def test_no_two_rows_say_the_same() -> None:
    said = [(row.corpus, row.model, row.val_perplexity, row.test_perplexity) for row in ROWS]
    assert len(set(said)) == len(said)


def test_what_is_not_published_is_none_and_said_so() -> None:
    row = parse(SMALL.encode(), "small")["ptb/rhn/selfish"]
    assert (row.id, row.corpus, row.model, row.source) == ("ptb/rhn/selfish", "ptb", "rhn", "example.org")
    assert (row.val_perplexity, row.sparsity, row.num_parameters, row.test_std) == (None, None, None, None)
    assert "ptb/rhn/set" not in published()
    assert NOT_PUBLISHED == "not published in a source we hold"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("60.35", "", "test_perplexity is empty: leave the line out"),
        ("60.35", "0", "greater than 1"),
        ("60.35", "'60.35'", "valid number"),
        ("test_perplexity: 60.35", "test_std: 0.1", "a std stands without its perplexity"),
        ("test_perplexity: 60.35", "ppl: 60.35", "Extra inputs"),
        ("test_perplexity: 60.35", "corpus: wikitext-2", "Extra inputs"),
        (", source: here", "", "Field required"),
        ("source: here", "source: there", "not given, or given and not named: here, there"),
        ("method: selfish", "method: ", "method is empty"),
        ("ptb/rhn/selfish", "selfish", "should match pattern"),
    ],
)
def test_a_file_that_says_something_else_is_refused(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(ValidationError, match=message):
        parse(SMALL.replace(old, new).encode(), "small")


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ProblemsError, match="'ptb/rhn/selfish' stands here and in line 3"):
        parse((SMALL + SMALL.splitlines()[-1]).encode(), "small")
