"""`selfish evaluate`: the score of a stored trial's best network on a split, beside what was recorded of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from orchestration.settings import Settings
from orchestration.wanted import num_cpus
from selfish_core.catalogue.corpora import Split
from selfish_core.data.corpora import load_once
from selfish_core.provenance import code_version
from selfish_core.records import Record
from selfish_core.scoring.splits import num_scored_tokens, split_loss
from selfish_core.scoring.stored import load_best
from selfish_core.training.fingerprint import fingerprint, pick_device
from selfish_core.training.measure import perplexity
from selfish_core.trial_store import StoredTrial

RECORDED: dict[str, str] = {"valid": "val", "test": "test"}
"""Splits whose loss stands in a record, and what it is called there; that of train is taken with dropout."""


@dataclass(frozen=True)
class Evaluation:
    """How a trial's best network scores.

    Args:
        key: content key of the trial.
        epoch: its best one.
        split: what was scored.
        num_tokens: how many tokens that were.
        loss_nats: mean loss per token.
        perplexity: exp of it.
        recorded_loss_nats: what the trial's record says of the same split; None where it says nothing.
        notes: one line for each reason why the two may differ.
    """

    key: str
    epoch: int
    split: str
    num_tokens: int
    loss_nats: float
    perplexity: float
    recorded_loss_nats: float | None
    notes: tuple[str, ...]

    @property
    def is_as_recorded(self) -> bool | None:
        """Whether every bit is the recorded one; None where nothing is recorded."""
        return None if self.recorded_loss_nats is None else self.loss_nats == self.recorded_loss_nats

    def as_json(self) -> dict[str, Any]:
        """Return everything, JSON-able."""
        return {**asdict(self), "notes": list(self.notes), "is_as_recorded": self.is_as_recorded}

    def as_text(self) -> str:
        """Lay it out for people."""
        told = f"trial {self.key[:12]}, best epoch {self.epoch}, {self.split}: perplexity {self.perplexity:.4f}"
        line = f"{told} ({self.loss_nats:.6f} nats/token over {self.num_tokens:,} tokens)"
        if self.recorded_loss_nats is None:
            return line
        recorded = f"recorded: {perplexity(self.recorded_loss_nats):.4f}"
        return f"{line}\n{recorded}{', the same to the last bit' if self.is_as_recorded else ''}"


def evaluate(trial: StoredTrial, split: Split, settings: Settings, device: str) -> Evaluation:
    """Score a trial's best network as its training did: its streams, its averages, its number of threads.

    Args:
        trial: whose checkpoint is read.
        split: of its corpus.
        settings: where corpora are.
        device: `cpu`, `cuda` or `auto`.

    Raises:
        InputError: when the device is not there, or the checkpoint is not kept.
        CorpusError: when the corpus is missing or damaged.
    """
    picked = pick_device(device)
    network = load_best(trial)
    config, record = network.config, network.record
    corpus = load_once(config.corpus, settings.data)
    threads = record.provenance.fingerprint.get("threads", "1")
    torch.set_num_threads(min(int(threads) if threads.isdecimal() else 1, num_cpus()))
    loss = split_loss(network, corpus, split, picked)
    recorded = record.metrics[f"{RECORDED[split]}_loss_nats"] if split in RECORDED else None
    is_expected = network.is_as_evaluated if recorded is None else loss == recorded
    return Evaluation(
        key=trial.key,
        epoch=record.epoch,
        split=split,
        num_tokens=num_scored_tokens(config, corpus, split),
        loss_nats=loss,
        perplexity=perplexity(loss),
        recorded_loss_nats=recorded,
        notes=() if is_expected else tuple(_reasons(record, picked, is_as_evaluated=network.is_as_evaluated)),
    )


def _reasons(record: Record, device: torch.device, *, is_as_evaluated: bool) -> list[str]:
    """Say why a score is not the recorded one."""
    reasons = []
    if not is_as_evaluated:
        reasons.append(
            "the checkpoint was written by an older version, which kept the weights after the epoch's mask update "
            "instead of those that were evaluated"
        )
    here, there = fingerprint(device), record.provenance.fingerprint
    changed = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    if changed:
        told = "; ".join(f"{name} {there.get(name)} then, {here.get(name)} now" for name in changed)
        reasons.append(f"the fingerprint is another: {told}")
    if record.provenance.code_version != code_version():
        reasons.append(f"the code is another: {record.provenance.code_version} then, {code_version()} now")
    return reasons or ["nothing that is known of has changed: check the hardware"]
