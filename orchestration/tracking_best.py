"""Which of a sweep's networks is logged as its model; torch is imported when one is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from results.aggregate import ANSWERED
from results.evidence import Evidence
from selfish_core.trial_store import TrialStore

if TYPE_CHECKING:
    from selfish_core.data.corpora import Corpus
    from selfish_core.scoring.stored import StoredNetwork


@dataclass(frozen=True)
class Best:
    """The trial of lowest validation perplexity among those whose best checkpoint is kept.

    Args:
        key: its content key.
        epoch: its best one, of those that the sweep wants.
        rank: its place among all answered trials, from 1.
        num_trials: how many these are.
    """

    key: str
    epoch: int
    rank: int
    num_trials: int

    def load(self, store: TrialStore, data: Path | None) -> tuple[StoredNetwork, Corpus]:
        """Read the network and the corpus that it was trained on.

        Args:
            store: the trial store.
            data: folder of the corpora; None for the default one.

        Raises:
            CorpusError: when the corpus is not there, or another.
            CorruptFileError: when the checkpoint is damaged.
        """
        from selfish_core.data.corpora import load_once
        from selfish_core.scoring.stored import load_best

        network = load_best(store.trial(self.key), self.epoch)
        return network, load_once(network.config.corpus, data)


def best_kept(evidence: Evidence, store: TrialStore) -> Best | None:
    """Return a sweep's best trial that can be scored; None where no checkpoint is kept."""
    found = evidence.concluded
    answered = found[(found["state"] == ANSWERED) & found["val_perplexity"].notna()]
    ranked = answered.sort_values(["val_perplexity", "key"])
    for rank, (key, epoch) in enumerate(zip(ranked["key"], ranked["selected_epoch"], strict=True), start=1):
        if any(ref.epoch == epoch for ref in store.trial(key).checkpoints()):
            return Best(str(key), int(epoch), rank, len(ranked))
    return None
