"""A stored trial's best network: the weights that gave its lowest validation perplexity, as they were evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from selfish_core.accounting import built_architecture
from selfish_core.catalogue.corpora import facts
from selfish_core.config import TrialConfig
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.models.build import build
from selfish_core.models.output import LanguageModel
from selfish_core.records import Record
from selfish_core.sparsity.masks import unpack
from selfish_core.training.evaluated import Overwritten
from selfish_core.training.shrink import evaluated_weights
from selfish_core.trial_store import CheckpointData, CheckpointRef, StoredTrial


@dataclass(frozen=True)
class StoredNetwork:
    """A trial's network as it was evaluated at the end of its best epoch.

    Args:
        config: of the trial.
        record: of the best epoch.
        weights: every parameter by name, a tied one once; averages where the trial had them, zero where inactive.
        is_as_evaluated: whether the checkpoint tells what the end of the epoch overwrote; older ones do not, and their
            weights are those after the epoch's mask update.
    """

    config: TrialConfig
    record: Record
    weights: Mapping[str, Tensor]
    is_as_evaluated: bool

    def model(self, device: torch.device) -> LanguageModel:
        """Build the module with these weights."""
        anything = torch.Generator().manual_seed(0)
        vocabulary_size = facts(self.config.corpus).vocabulary_size
        return filled(build(built_architecture(self.config), vocabulary_size, anything), self.weights).to(device)


def filled(model: LanguageModel, weights: Mapping[str, Tensor]) -> LanguageModel:
    """Put weights into a module and return it.

    Raises:
        ValueError: when names or shapes are not the module's.
    """
    parameters = dict(model.named_parameters())
    if parameters.keys() != weights.keys():
        raise ValueError(f"weights are {sorted(weights)}, the model has {sorted(parameters)}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != weights[name].shape:
                raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, not {tuple(parameter.shape)}")
            parameter.copy_(weights[name])
    return model


def best_record(records: Sequence[Record], epochs: int | None = None) -> Record | None:
    """Return the record of the best epoch: the last new validation minimum, which is the last with a test perplexity.

    Args:
        records: of one trial, epochs 1 to E.
        epochs: how many of them count; all by default.
    """
    tested = [one for one in records[:epochs] if one.outcome == "trained" and "test_perplexity" in one.metrics]
    return tested[-1] if tested else None


def best_checkpoint(trial: StoredTrial, epoch: int) -> CheckpointRef | None:
    """Return the checkpoint of a trial's best epoch, where it is kept."""
    return next((ref for ref in trial.checkpoints() if ref.epoch == epoch), None)


def load_best(trial: StoredTrial, epochs: int | None = None) -> StoredNetwork:
    """Read the best network of a stored trial.

    Args:
        trial: whose checkpoint is read.
        epochs: how many epochs count; all that are recorded by default.

    Raises:
        InputError: when the trial has no best epoch, or its checkpoint is not kept.
        CorruptFileError: when the checkpoint is damaged.
    """
    record = best_record(trial.records(), epochs)
    if record is None:
        raise InputError(f"trial {trial.key} has no epoch that can be selected: it was never evaluated, or diverged")
    ref = best_checkpoint(trial, record.epoch)
    if ref is None:
        raise InputError(
            f"trial {trial.key}: the checkpoint of its best epoch, {record.epoch}, is not kept here: an archive "
            "carries none as a rule, and `keep` in a spec says which stay; `selfish run … --rerun KEY` computes it anew"
        )
    config = TrialConfig.from_dict(trial.config())
    where = f"checkpoint of epoch {ref.epoch}, attempt {ref.attempt}, trial {trial.key}"
    checkpoint = trial.load(ref)
    weights = best_weights(config, checkpoint, where)
    return StoredNetwork(config, record, weights, "overwritten" in checkpoint.state)


def best_weights(config: TrialConfig, checkpoint: CheckpointData, where: str) -> dict[str, Tensor]:
    """Return the weights with which the epoch of a checkpoint was evaluated, if it is the best one.

    Args:
        config: of the trial.
        checkpoint: of its best epoch.
        where: names it in errors.

    Raises:
        CorruptFileError: when it is of another format or trial.
    """
    weights = evaluated_weights(config, checkpoint, where)
    try:
        tensors = load_tensors(checkpoint.tensors)
        overwritten = Overwritten()
        for name in checkpoint.state.get("overwritten", ()):
            overwritten.where[name] = unpack(tensors[f"overwritten_where/{name}"], weights[name].shape)
            overwritten.values[name] = tensors[f"overwritten/{name}"]
        overwritten.put_back(weights)
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise CorruptFileError(f"{where}: does not fit the trial: {str(error).splitlines()[0]}") from error
    return weights
