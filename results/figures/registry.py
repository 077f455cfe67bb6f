"""Every figure by name: what it shows, what may be chosen of it, and how it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from results.evidence import Evidence
from results.figures import curves, densities, matrices, search, trade_offs
from results.figures.model import Figure
from results.figures.options import BANDS, FigureOptions
from selfish_core.errors import InputError, unknown_name
from selfish_core.resolve import field_path
from sweeps.sections import TABLE_METRICS


@dataclass(frozen=True)
class FigureKind:
    """One figure.

    Args:
        title: a few words.
        description: what it shows, one line.
        build: makes it.
        metrics: what may be drawn, the first by default unless the spec's table says which; empty where there is no
            choice.
        has_settings: whether `by` and `where` mean something to it.
        band: what is drawn around its means by default: the interval where settings are compared, the spread where
            their course is shown; empty where there are no means.
        made_of: `records`, or what has to be given besides them: `distances` or `searched` of the options.
    """

    title: str
    description: str
    build: Callable[[Evidence, FigureOptions], Figure]
    metrics: tuple[str, ...] = ()
    has_settings: bool = True
    band: str = "std"
    made_of: str = "records"


FIGURES: Mapping[str, FigureKind] = MappingProxyType(
    {
        "perplexity-sparsity": FigureKind(
            "perplexity and sparsity",
            "perplexity against sparsity, a line for each method with its band over seeds",
            trade_offs.perplexity_sparsity,
            TABLE_METRICS,
            band="interval",
        ),
        "perplexity-removal-rate": FigureKind(
            "perplexity and removal rate",
            "perplexity against the removal rate at the start, a line for each method with its band over seeds",
            trade_offs.perplexity_removal_rate,
            TABLE_METRICS,
            band="interval",
        ),
        "perplexity-flops": FigureKind(
            "perplexity and training FLOPs",
            "perplexity against training FLOPs, with the settings that no other beats in both",
            trade_offs.perplexity_flops,
            TABLE_METRICS,
            band="interval",
        ),
        "learning-curves": FigureKind(
            "learning curves",
            "validation perplexity epoch by epoch, with the start of averaging and the mask updates",
            curves.learning_curves,
            ("val_perplexity", *(name for name in curves.CURVE_METRICS if name != "val_perplexity")),
        ),
        "gate-densities": FigureKind(
            "gate densities",
            "share of active weights in every gate over training, a panel for each layer of each setting",
            densities.gate_densities,
        ),
        "layer-densities": FigureKind(
            "layer densities",
            "share of active weights in every layer after the last epoch",
            densities.layer_densities,
            band="interval",
        ),
        "explored-fraction": FigureKind(
            "explored fraction",
            "share of the weights that were active at any time so far",
            curves.explored_fraction,
        ),
        "topology-distance": FigureKind(
            "topology distance along training",
            "distance of the masks to the first ones and to those of the epoch before",
            curves.topology_distance,
        ),
        "topology-matrix": FigureKind(
            "topology distances between trials",
            "distance between the masks of every two trials, from their checkpoints",
            matrices.topology_matrix,
            band="",
            made_of="distances",
        ),
        "search-importance": FigureKind(
            "importance of a search's parameters",
            "how much of the metric's variance each parameter explains",
            search.search_importance,
            has_settings=False,
            band="",
            made_of="searched",
        ),
        "search-coordinates": FigureKind(
            "parallel coordinates of a search",
            "every point of a search as a line across its parameters",
            search.search_coordinates,
            has_settings=False,
            band="",
            made_of="searched",
        ),
    }
)


def build(name: str, evidence: Evidence, options: FigureOptions | None = None) -> Figure:
    """Make a figure of a sweep.

    Args:
        name: of the figure.
        evidence: what is recorded of the sweep.
        options: what it shows; the sweep's own choice by default.

    Raises:
        InputError: when there is no such figure, it has no such option, or the sweep has not what it shows.
    """
    chosen = options or FigureOptions()
    check(name, chosen)
    kind = FIGURES[name]
    return kind.build(evidence, replace(chosen, band=chosen.band or kind.band))


def check(name: str, options: FigureOptions) -> None:
    """Refuse what a figure cannot be asked for, before anything is read.

    Args:
        name: of the figure.
        options: as a user gave them.

    Raises:
        InputError: when there is no such figure, or it has no such option.
    """
    if name not in FIGURES:
        raise InputError(unknown_name("figure", name, FIGURES))
    kind = FIGURES[name]
    if options.metric is not None and not kind.metrics:
        raise InputError(f"figure {name} has no choice of metric: leave --metric out")
    if options.metric is not None and options.metric not in kind.metrics:
        raise InputError(unknown_name("metric", options.metric, kind.metrics, of=f"figure {name}"))
    if not kind.has_settings and (options.by is not None or options.where):
        raise InputError(f"figure {name} shows all points of a search: leave --by and --where out")
    for field in (*([] if options.by is None else [options.by]), *options.where):
        field_path(field)
    if options.band and not kind.band:
        raise InputError(f"figure {name} has no means over seeds: leave --band out")
    if options.band and options.band not in BANDS:
        raise InputError(unknown_name("band", options.band, BANDS))
