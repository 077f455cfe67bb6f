"""Architectures: one row each, with its config, its parameters without building a model, and where its module is."""

from __future__ import annotations

from selfish_core.catalogue.extensions import ARCHITECTURES_GROUP, with_extensions
from selfish_core.catalogue.rows import ArchitectureRow
from selfish_core.catalogue.sizes import awd_lstm, awd_lstm_mos, gru, on_lstm, rhn, stacked_lstm

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
        name="gru",
        config=gru.GRUConfig,
        shapes=gru.shapes,
        problem=gru.problem,
        with_width=gru.with_width,
        model="selfish_core.models.gru:GRU",
        has_unit_groups=True,
        source="Cho et al., EMNLP 2014; sizes and dropout of the stacked LSTM",
    ),
    ArchitectureRow(
        name="rhn",
        config=rhn.RHNConfig,
        shapes=rhn.shapes,
        problem=rhn.problem,
        with_width=rhn.with_width,
        model="selfish_core.models.rhn:RHN",
        has_unit_groups=True,
        source="Zilly et al., Recurrent Highway Networks, ICML 2017; sizes of Liu et al., ICML 2021",
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
    ArchitectureRow(
        name="awd_lstm",
        config=awd_lstm.AWDLSTMConfig,
        shapes=awd_lstm.shapes,
        problem=awd_lstm.problem,
        with_width=awd_lstm.with_width,
        model="selfish_core.models.awd_lstm:AWDLSTM",
        has_unit_groups=True,
        source="Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018",
    ),
    ArchitectureRow(
        name="awd_lstm_mos",
        config=awd_lstm_mos.AWDLSTMMoSConfig,
        shapes=awd_lstm_mos.shapes,
        problem=awd_lstm_mos.problem,
        with_width=awd_lstm_mos.with_width,
        model="selfish_core.models.awd_lstm_mos:AWDLSTMMoS",
        source="Yang et al., Breaking the Softmax Bottleneck, ICLR 2018",
    ),
)

ARCHITECTURES: dict[str, ArchitectureRow] = with_extensions(
    ARCHITECTURES_GROUP, {row.name: row for row in _ROWS}, ArchitectureRow
)
