"""The shrunken network: narrower, its logits those of the full one, and back from its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from selfish_core.accounting import parameter_shapes
from selfish_core.catalogue.sizes import rhn, stacked_lstm
from selfish_core.catalogue.sizes.gru import GRUConfig
from selfish_core.catalogue.sizes.shape import ArchitectureConfig, ParameterShape
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.models.output import LanguageModel
from selfish_core.models.rhn import RHN
from selfish_core.models.stacked_lstm import StackedLSTM
from selfish_core.sparsity.group_lasso import zero_small_
from selfish_core.sparsity.units import HiddenUnits, hidden_units
from selfish_core.training.checkpoint import dump
from selfish_core.training.loop import Training
from selfish_core.training.shrink import (
    REPORT,
    WEIGHTS,
    evaluated_weights,
    read,
    shrink,
    shrink_checkpoint,
    write,
)
from selfish_core.training.shrunken_network import filled, largest_difference, network
from selfish_core.trial_store import CheckpointData

Weights = dict[str, Tensor]
VOCABULARY_SIZE = 12
STACKED = stacked_lstm.StackedLSTMConfig(name="stacked_lstm", hidden_size=7, embedding_size=5)
RHN_CONFIG = rhn.RHNConfig(name="rhn", depth=3, hidden_size=7, embedding_size=7)
FULL: dict[str, tuple[ArchitectureConfig, tuple[ParameterShape, ...], type[Any]]] = {
    name: (config, stacked_lstm.shapes(config, VOCABULARY_SIZE), StackedLSTM)
    for name, config in {
        "stacked_lstm": STACKED,
        "one layer": STACKED.model_copy(update={"num_layers": 1}),
        "three layers": STACKED.model_copy(update={"num_layers": 3}),
        "tied": STACKED.model_copy(update={"embedding_size": 7, "is_tied": True}),
    }.items()
} | {
    name: (config, rhn.shapes(config, VOCABULARY_SIZE), RHN)
    for name, config in {
        "rhn": RHN_CONFIG,
        "rhn, untied": RHN_CONFIG.model_copy(update={"embedding_size": 5, "is_tied": False}),
        "rhn, uncoupled": RHN_CONFIG.model_copy(update={"is_coupled": False}),
    }.items()
}


def random_weights(shapes: tuple[ParameterShape, ...]) -> Weights:
    """Large enough for every bias and state to show in the logits."""
    generator = torch.Generator().manual_seed(2)
    return {shape.name: 0.7 * torch.randn(shape.shape, generator=generator) for shape in shapes}


def silence(weights: Mapping[str, Tensor], units: HiddenUnits, index: int) -> None:
    """Zero what goes out of a unit, to itself excepted."""
    for name in units.readers:
        to_itself = torch.zeros(len(weights[name]), dtype=torch.bool)
        for block in units.blocks_of(name):
            to_itself[block.rows.start + index] = True
        weights[name][~to_itself, index] = 0.0


def full_network(name: str, weights: Mapping[str, Tensor]) -> LanguageModel:
    config, _, model = FULL[name]
    return filled(model(config, VOCABULARY_SIZE, torch.Generator()), weights)


def difference(name: str, weights: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> float:
    words_TB = torch.randint(VOCABULARY_SIZE, (15, 3), generator=torch.Generator().manual_seed(4))
    return largest_difference(full_network(name, weights), network(FULL[name][0], smaller), words_TB)


@pytest.mark.parametrize("name", FULL)
def test_the_logits_are_those_of_the_full_network(name: str) -> None:
    _, shapes, _ = FULL[name]
    weights = random_weights(shapes)
    for number, units in enumerate(hidden_units(shapes)):
        for index in (0, 3, 6)[number:]:
            silence(weights, units, index)
    shrunken = shrink(weights, shapes)
    assert list(shrunken.after.values()) == [7 - len((0, 3, 6)[number:]) for number in range(len(shrunken.after))]
    assert set(shrunken.before.values()) == {7}
    assert difference(name, weights, shrunken.weights) < 1e-12


@pytest.mark.parametrize("name", FULL)
def test_a_network_whose_units_are_all_read_stays_as_it_is(name: str) -> None:
    weights = random_weights(FULL[name][1])
    shrunken = shrink(weights, FULL[name][1])
    assert shrunken.after == shrunken.before
    assert all(torch.equal(weight, weights[tensor]) for tensor, weight in shrunken.weights.items())
    assert difference(name, weights, shrunken.weights) < 1e-12


def test_a_unit_that_hears_nothing_but_is_read_stays_since_its_bias_speaks() -> None:
    _, shapes, _ = FULL["stacked_lstm"]
    weights = random_weights(shapes)
    for name in ("lstm.0.weight_ih_l0", "lstm.0.weight_hh_l0"):
        weights[name].view(4, 7, -1)[:, 2] = 0.0
    assert shrink(weights, shapes).after == {"lstm0": 7, "lstm1": 7}


def test_a_tied_embedding_loses_the_dimensions_of_the_units_that_go() -> None:
    _, shapes, _ = FULL["rhn"]
    weights = random_weights(shapes)
    silence(weights, hidden_units(shapes)[0], 4)
    smaller = {name: tuple(weight.shape) for name, weight in shrink(weights, shapes).weights.items()}
    assert smaller["embedding.weight"] == (VOCABULARY_SIZE, 6)
    assert smaller["input.weight"] == (12, 6)
    assert smaller["recurrent.2.weight"] == (12, 6)
    assert smaller["recurrent.2.bias"] == (12,)
    assert smaller["decoder.bias"] == (VOCABULARY_SIZE,)


@pytest.mark.parametrize("name", FULL)
def test_one_unit_of_each_layer_is_left_where_nothing_is_read(name: str) -> None:
    _, shapes, _ = FULL[name]
    weights = random_weights(shapes)
    for units in hidden_units(shapes):
        for index in range(units.size):
            silence(weights, units, index)
    shrunken = shrink(weights, shapes)
    assert set(shrunken.after.values()) == {1}
    assert difference(name, weights, shrunken.weights) < 1e-12


@pytest.mark.parametrize("name", FULL)
def test_the_state_goes_on_from_segment_to_segment(name: str) -> None:
    _, shapes, _ = FULL[name]
    weights = random_weights(shapes)
    silence(weights, hidden_units(shapes)[0], 5)
    full, small = full_network(name, weights), network(FULL[name][0], shrink(weights, shapes).weights)
    states = [model.initial_state(2) for model in (full, small)]
    generator = torch.Generator().manual_seed(6)
    for _ in range(3):
        words_TB = torch.randint(VOCABULARY_SIZE, (4, 2), generator=generator)
        outputs = [model(words_TB, state) for model, state in zip((full, small), states, strict=True)]
        torch.testing.assert_close(outputs[1].scores_TBV, outputs[0].scores_TBV)
        states = [output.state for output in outputs]


def test_an_architecture_without_a_smaller_network_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'gru' cannot be shrunk: known are rhn, stacked_lstm"):
        network(GRUConfig(name="gru"), {})


@pytest.fixture
def averaging(tiny_trial: Any, tiny_corpus: Corpus) -> Training:
    training = Training(tiny_trial(), tiny_corpus, torch.device("cpu"))
    for _ in range(4):
        training.run_epoch()
    assert training.optimizer.is_averaging
    return training


@pytest.fixture
def iss(tiny_trial: Any, tiny_corpus: Corpus) -> Training:
    """An epoch of group lasso, then three units silenced, but for weights that are below the threshold."""
    config = tiny_trial("iss", "sgd", sparsity={"level": 0.0, "group_lasso": 0.01, "zero_threshold": 0.001})
    training = Training(config, tiny_corpus, torch.device("cpu"))
    training.run_epoch()
    first, last = hidden_units(parameter_shapes(config))
    with torch.no_grad():
        for units, index in ((first, 0), (first, 5), (last, 3)):
            silence(training.parameters(), units, index)
        training.parameters()["decoder.weight"][2, 3] = 0.0009
    return training


def checkpoint(training: Training) -> CheckpointData:
    return CheckpointData(*dump(training))


def test_the_weights_are_the_averages_where_there_are_any(averaging: Training) -> None:
    found = evaluated_weights(averaging.config, checkpoint(averaging), "here")
    with averaging.optimizer.evaluation_weights():
        expected = {name: weight.detach().clone() for name, weight in averaging.parameters().items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())
    assert not torch.equal(found["decoder.weight"], averaging.parameters()["decoder.weight"])


def test_a_checkpoint_that_is_not_the_trials_is_refused(averaging: Training) -> None:
    tensors, state = dump(averaging)
    with pytest.raises(CorruptFileError, match="here: not a checkpoint of format 1 of trial"):
        evaluated_weights(averaging.config, CheckpointData(tensors, {**state, "key": "0" * 32}), "here")
    cut = {name: tensor for name, tensor in load_tensors(tensors).items() if name != "optimizer/means/decoder.bias"}
    cut["masks/decoder.weight"] = cut["masks/decoder.weight"][:-1].clone()
    with pytest.raises(CorruptFileError, match="here: does not fit the trial"):
        evaluated_weights(averaging.config, CheckpointData(save_tensors(cut), state), "here")


def test_a_trial_with_group_lasso_shrinks_and_comes_back_from_its_files(iss: Training, tmp_path: Path) -> None:
    shrunken, told = shrink_checkpoint(iss.config, checkpoint(iss), "here")
    assert told["largest_logit_difference"] < 1e-12
    assert told["epoch"] == 1
    report = write(tmp_path / "small", shrunken, told)
    model, found = read(tmp_path / "small")
    assert found == report == json.loads((tmp_path / "small" / REPORT).read_text())
    assert report["units_before"] == {"lstm0": 8, "lstm1": 8}
    assert report["units_after"] == {"lstm0": 6, "lstm1": 7}
    assert report["num_parameters_before"] == sum(weight.numel() for weight in iss.parameters().values())
    assert report["num_parameters_after"] == sum(weight.numel() for weight in model.parameters())
    zero_small_({name: weight for name, weight in iss.parameters().items() if weight.dim() == 2}, 0.001)
    assert largest_difference(iss.model, model, torch.arange(30).reshape(10, 3)) < 1e-12


def test_files_are_never_written_over_and_damage_is_found(iss: Training, tmp_path: Path) -> None:
    shrunken, told = shrink_checkpoint(iss.config, checkpoint(iss), "here")
    write(tmp_path, shrunken, told)
    with pytest.raises(InputError, match="is there already; name a new folder"):
        write(tmp_path, shrunken, told)
    path = tmp_path / WEIGHTS
    data = path.read_bytes()
    for damaged, said in ((data[:-1] + b"\x7f", "its checksum is not the one in"), (data[:-1], "its manifest says")):
        path.write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=said):
            read(tmp_path)
    path.unlink()
    with pytest.raises(CorruptFileError, match="holds no shrunken network"):
        read(tmp_path)
