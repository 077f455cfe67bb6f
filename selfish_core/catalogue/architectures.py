"""Architectures: one row each, with its config, its parameters without building a model, and where its module is."""

from __future__ import annotations

from selfish_core.catalogue.extensions import ARCHITECTURES_GROUP, with_extensions
from selfish_core.catalogue.rows import ArchitectureRow
from selfish_core.catalogue.sizes import on_lstm, stacked_lstm

_ROWS = (
    ArchitectureRow(
        name="stacked_lstm",
        config=stacked_lstm.StackedLSTMConfig,
        shapes=stacked_lstm.shapes,
        problem=stacked_lstm.problem,
        with_width=stacked_lstm.with_width,
        model="selfish_core.models.stacked_lstm:StackedLSTM",
        has_unit_groups=True,
        source="Zaremba et al., Recurrent Neural Network Regularization, 2014; sizes of Liu et al., ICML 2021",
    ),
    ArchitectureRow(
        name="on_lstm",
        config=on_lstm.ONLSTMConfig,
        shapes=on_lstm.shapes,
        problem=on_lstm.problem,
        with_width=on_lstm.with_width,
        model="selfish_core.models.on_lstm:ONLSTM",
        source="Shen et al., Ordered Neurons, ICLR 2019; sizes of Liu et al., ICML 2021",
    ),
)

ARCHITECTURES: dict[str, ArchitectureRow] = with_extensions(
    ARCHITECTURES_GROUP, {row.name: row for row in _ROWS}, ArchitectureRow
)
