"""Recipes: values under a spec's base, for whichever method and optimizer, and never in a trial's identity."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from selfish_core.accounting import count_parameters
from selfish_core.errors import InputError
from selfish_core.resolve import SECTION_CLASSES
from sweeps import recipes, spec
from sweeps.expand import Expansion, expand

HEAD = "name: x\nepochs: 4\nseeds: [1]\n"
PARTS = re.compile(r"(?P<corpus>ptb|wt2|synthetic)_(?P<architecture>[a-z_]+?)(?P<small>_small)?")
CORPORA = {"ptb": "ptb", "wt2": "wikitext-2", "synthetic": "synthetic"}

Read = Callable[[str], Expansion]


@pytest.fixture(params=recipes.names())
def recipe(request: pytest.FixtureRequest) -> recipes.Recipe:
    return recipes.load(request.param)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return lambda text: expand(spec.parse((HEAD + text).encode(), tmp_path / "spec.yaml"))


def test_its_name_is_that_of_its_file_and_tells_what_it_is(recipe: recipes.Recipe) -> None:
    parts = PARTS.fullmatch(recipe.name)
    assert parts is not None
    assert recipes.load(recipe.name) is recipe
    assert recipe.architecture["name"] == parts["architecture"]
    assert recipe.corpus["name"] == CORPORA[parts["corpus"]]


def test_it_says_what_it_is_and_where_it_is_from(recipe: recipes.Recipe) -> None:
    assert 20 <= len(recipe.description) <= 120
    assert ("our choice" in recipe.source) == (recipe.name.endswith("_small") or recipe.name.startswith("synthetic"))


def test_every_published_recipe_has_a_small_sibling() -> None:
    small = {name for name in recipes.names() if name.endswith("_small")}
    assert {f"{name}_small" for name in recipes.names() if name.startswith(("ptb", "wt2"))} - small == {
        f"{name}_small" for name in small
    }


def test_the_paper_has_its_recipes() -> None:
    assert {"ptb_stacked_lstm", "ptb_rhn", "ptb_on_lstm", "wt2_awd_lstm_mos"} <= set(recipes.names())


def test_every_value_of_a_published_recipe_has_its_source_beside_it(recipe: recipes.Recipe) -> None:
    """The optimizers' values have theirs above them."""
    if "our choice" in recipe.source:
        return
    text = (recipes.FOLDER / f"{recipe.name}.yaml").read_text(encoding="utf-8")
    values = text[text.index("epochs:") : text.index("optimizer:")]
    for line in values.splitlines():
        if re.match(r" *\w+: *[^ #]", line) and "name: " not in line.partition("#")[0].replace("{name: ", ""):
            assert re.search(r"# \[(command|code)\]", line), line


@pytest.mark.parametrize("optimizer", sorted(SECTION_CLASSES["optimizer"]))
def test_it_has_values_for_every_optimizer(recipe: recipes.Recipe, optimizer: str, read: Read) -> None:
    (trial,) = read(f"recipe: {recipe.name}\nbase: {{method: dense, optimizer: {optimizer}}}")
    values = {name: getattr(trial.config.optimizer, name) for name in recipe.optimizer[optimizer]}
    assert values == recipe.optimizer[optimizer]
    assert {"learning_rate", "weight_decay", "clip_norm"} <= set(values)


def test_every_value_of_it_reaches_the_trial(recipe: recipes.Recipe, read: Read) -> None:
    (trial,) = read(f"recipe: {recipe.name}\nbase: {{method: selfish, sparsity: 0.5}}")
    config = trial.config.to_dict()
    for section in ("architecture", "corpus", "training"):
        assert getattr(recipe, section).items() <= config[section].items()


def test_it_leaves_no_field_of_its_architecture_to_a_default(recipe: recipes.Recipe) -> None:
    """But those that are null or false by default, which small recipes leave out."""
    fields = SECTION_CLASSES["architecture"][recipe.architecture["name"]].model_fields
    left = {name for name, field in fields.items() if name not in recipe.architecture and field.default is not None}
    assert left == set()


COUNTS = {
    "ptb_stacked_lstm": (66_034_000, 0.67, 21.78e6),
    "ptb_rhn": (23_484_060, 0.528, 11.07e6),
    "ptb_on_lstm": (25_232_180, 0.55, 11.34e6),
    "ptb_awd_lstm": (24_221_600, 0.0, 24.19e6),
    "ptb_awd_lstm_mos": (21_500_620, 0.0, 21.47e6),
    "wt2_awd_lstm_mos": (34_909_528, 0.55, 15.68e6),
}


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_it_makes_a_model_of_the_published_size(name: str, read: Read) -> None:
    num_parameters, level, num_active = COUNTS[name]
    method = "static" if level else "dense"
    (trial,) = read(f"recipe: {name}\nbase: {{method: {method}, sparsity: {level}}}")
    counts = count_parameters(trial.config)
    assert counts.num_parameters == num_parameters
    assert counts.num_active == pytest.approx(num_active, rel=2e-3)


def test_a_method_takes_the_values_of_its_own_optimizer(read: Read) -> None:
    trials = read(
        "recipe: ptb_stacked_lstm\naxes: [{list: [{method: dense}, {method: selfish, sparsity: 0.5}, "
        "{method: dense, optimizer: adam}, {method: dense, optimizer: sgd}]}]"
    )
    found = [(trial.config.optimizer.name, trial.config.optimizer.learning_rate) for trial in trials]
    assert found == [("nt_asgd", 40), ("snt_asgd", 40), ("adam", 0.001), ("sgd", 40)]


def test_the_base_wins_field_by_field(read: Read) -> None:
    (trial,) = read(
        "recipe: ptb_stacked_lstm\nbase: {method: dense, architecture: {hidden_size: 10}, training: {batch_size: 5}, "
        "optimizer: {non_monotone_window: 2}, corpus: {train_fraction: 0.5}}"
    )
    config = trial.config
    assert (config.architecture.hidden_size, config.architecture.embedding_size) == (10, 1500)
    assert (config.training.batch_size, config.training.bptt_length) == (5, 35)
    assert (config.optimizer.non_monotone_window, config.optimizer.learning_rate) == (2, 40)
    assert (config.corpus.name, config.corpus.train_fraction) == ("ptb", 0.5)


def test_an_axis_wins_over_both(read: Read) -> None:
    trials = read(
        "recipe: ptb_stacked_lstm\nbase: {method: dense, optimizer: {learning_rate: 30}}\n"
        "axes: [{grid: {optimizer.learning_rate: [10, 20]}}]"
    )
    assert [trial.config.optimizer.learning_rate for trial in trials] == [10, 20]


def test_another_corpus_takes_no_value_of_the_recipes(read: Read) -> None:
    (trial,) = read("recipe: ptb_stacked_lstm_small\nbase: {method: dense, corpus: synthetic}")
    assert (trial.config.corpus.name, trial.config.corpus.train_fraction) == ("synthetic", 1.0)
    (same,) = read("recipe: ptb_stacked_lstm_small\nbase: {method: dense, corpus: ptb}")
    assert same.config.corpus.train_fraction == 0.1


def test_another_architecture_takes_no_value_of_the_recipes(read: Read) -> None:
    trials = read(
        "recipe: synthetic_stacked_lstm\naxes: [{list: [{method: dense, architecture: stacked_lstm}, "
        "{method: dense, architecture: gru, architecture.hidden_size: 16, architecture.embedding_size: 16}]}]"
    )
    assert [trial.config.architecture.dropout for trial in trials] == [
        0.2,
        SECTION_CLASSES["architecture"]["gru"].model_fields["dropout"].default,
    ]


def test_exclusions_see_the_recipes_values(read: Read) -> None:
    trials = read(
        "recipe: ptb_stacked_lstm\naxes: [{grid: {method: [dense], optimizer: [nt_asgd, adam]}}]\n"
        "exclude: [{optimizer.learning_rate: 40, architecture.hidden_size: 1500}]"
    )
    assert [trial.config.optimizer.name for trial in trials] == ["adam"]


def test_a_key_knows_values_and_not_the_recipes_name(read: Read) -> None:
    recipe = recipes.load("synthetic_stacked_lstm")
    written = (
        f"base: {{method: dense, corpus: {recipe.corpus}, architecture: {recipe.architecture}, training: "
        f"{recipe.training}, optimizer: {recipe.optimizer['nt_asgd']}}}".replace("False", "false")
    )
    (from_recipe,) = read("recipe: synthetic_stacked_lstm\nbase: {method: dense}")
    (from_values,) = read(written)
    assert from_recipe.config == from_values.config
    assert from_recipe.key == from_values.key


def test_the_small_stacked_lstm_is_that_of_the_shipped_sweep(read: Read) -> None:
    """So that trials of `ptb-cpu` answer those of the recipe."""
    (trial,) = read("recipe: ptb_stacked_lstm_small\nbase: {method: dense}")
    assert trial.key in {shipped.key for shipped in expand(spec.load("ptb-cpu"))}


def test_a_spec_without_a_recipe_has_none(tmp_path: Path) -> None:
    assert spec.parse(f"{HEAD}base: {{method: dense}}".encode(), tmp_path / "spec.yaml").recipe is None


def test_an_unknown_recipe_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        recipes.load("ptb_rnh")
    known = ", ".join(recipes.names())
    assert str(caught.value) == f"unknown recipe 'ptb_rnh': known are {known}; did you mean 'ptb_rhn'?"


def test_the_schema_knows_the_recipes(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(spec.json_schema())
    data = {"name": "x", "epochs": 1, "seeds": [1]}
    assert all(validator.is_valid({**data, "recipe": name}) for name in recipes.names())
    assert not any(validator.is_valid({**data, "recipe": name}) for name in ("ptb", "", None, ["ptb_rhn"]))
