"""From the tidy frame to what a table says: one conclusion per trial, then one cell per group of seeds.

The selection rule: a trial's result is the test perplexity at the epoch <= E of lowest validation perplexity, the first
of equals, among the epochs that are as sparse as the trial is to be. Test perplexity selects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from results.cells import ANSWERED, DIVERGED, MISSING, UNFINISHED, Cell, Setting, tabulate
from selfish_core.catalogue.corpora import CorpusConfig, facts

__all__ = ["ANSWERED", "DIVERGED", "MISSING", "UNFINISHED", "Cell", "Setting", "conclude", "tabulate"]

AT_SELECTED = (
    "val_perplexity",
    "test_perplexity",
    "best_possible_test_perplexity",
    "num_active_parameters",
    "sparsity",
)
"""Metrics that a conclusion takes from the selected epoch."""

AT_SELECTED_IF_THERE = (
    "explored_fraction",
    "inference_flops_per_token",
    "num_dead_units",
    "topology_distance_to_first",
)
"""The same for metrics that few tables show; NaN where the frame was read without them."""

METRICS_NEEDED = (*AT_SELECTED, "training_flops", "is_averaging", "is_selectable")
"""Metrics that `conclude` looks at; a frame that has no others concludes the same."""


class TrialConfigLike(Protocol):
    """What a conclusion needs of a config."""

    @property
    def corpus(self) -> CorpusConfig:
        """What it is trained on."""

    def flat(self) -> Mapping[str, str | int | float | bool]:
        """Return dotted names and values."""


class TrialLike(Protocol):
    """What a conclusion needs of a trial; `sweeps.expand.Trial` has it."""

    @property
    def key(self) -> str:
        """The content key."""

    @property
    def config(self) -> TrialConfigLike:
        """The resolved config."""


def conclude(frame: pd.DataFrame, trials: Iterable[TrialLike], epochs: int) -> pd.DataFrame:
    """Conclude what each trial shows within its first epochs.

    Args:
        frame: the tidy frame (`results.tracking_store` or `results.load_records`), in any order.
        trials: the wanted trials, in any order.
        epochs: E; what lies beyond is not looked at.

    Returns:
        One row per trial, sorted by key: `key`, `state` (answered, unfinished, diverged, missing), `num_epochs` seen,
        `code_version`, `fingerprint`, `data_sha256` (12 digits), `selected_epoch`, the metrics of that epoch,
        `averaging_epoch` (the first with averages; NaN without), `training_flops` at the last epoch, and the config's
        dotted fields as `config.<field>`.
    """
    wanted = {trial.key: trial for trial in trials}
    keys = sorted(wanted)
    flats = [dict(wanted[key].config.flat()) for key in keys]
    numbers = pd.Index(keys, dtype="str").get_indexer(pd.Index(frame["key"]))
    also = [name for name in AT_SELECTED_IF_THERE if name in frame]
    within = frame[["epoch", "outcome", "code_version", "fingerprint", *METRICS_NEEDED, *also]].assign(number=numbers)[
        (numbers >= 0) & (frame["epoch"] <= epochs).to_numpy()
    ]
    concluded = pd.concat(
        [
            pd.Series(keys, name="key", dtype="str"),
            pd.Series([facts(wanted[key].config.corpus).digest for key in keys], name="data_sha256", dtype="str"),
            _conclude_each(within.sort_values(["number", "epoch"]), epochs, len(keys)),
        ],
        axis=1,
    )
    settings = {
        f"config.{field}": pd.Series([flat.get(field) for flat in flats], dtype=object)
        for field in sorted({field for flat in flats for field in flat})
    }
    return pd.concat([concluded, pd.DataFrame(settings)], axis=1)


def _conclude_each(rows: pd.DataFrame, epochs: int, num_trials: int) -> pd.DataFrame:
    """Conclude all trials at once; `rows` are sorted by the trial's `number`, then by epoch."""
    every = pd.RangeIndex(num_trials)
    last = rows.drop_duplicates("number", keep="last").set_index("number").reindex(every)
    num_epochs = rows["number"].value_counts().reindex(every, fill_value=0)
    averaging = rows[rows["is_averaging"] == 1].drop_duplicates("number").set_index("number")
    is_selectable = rows["is_selectable"] != 0  # the first records do not say: every epoch of theirs was
    may_be_selected = rows[is_selectable & rows["val_perplexity"].notna()]
    lowest = may_be_selected.groupby("number")["val_perplexity"].transform("min")
    is_lowest = may_be_selected["val_perplexity"] == lowest
    selected = may_be_selected[is_lowest].drop_duplicates("number").set_index("number").reindex(every)
    states = [num_epochs == 0, last["outcome"] == "diverged", num_epochs >= epochs]
    return pd.DataFrame(
        {
            "state": pd.array(np.select(states, [MISSING, DIVERGED, ANSWERED], UNFINISHED).tolist(), dtype="str"),
            "num_epochs": num_epochs,
            "code_version": last["code_version"].fillna(""),
            "fingerprint": last["fingerprint"].fillna(""),
            "selected_epoch": selected["epoch"].astype(np.float64),
            **selected.reindex(columns=[*AT_SELECTED, *AT_SELECTED_IF_THERE]).to_dict("series"),
            "averaging_epoch": averaging["epoch"].reindex(every).astype(np.float64),
            "training_flops": last["training_flops"],
        }
    )
