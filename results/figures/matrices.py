"""How differently trials are wired: the topology distance between the masks of every two of them."""

from __future__ import annotations

from results.evidence import Evidence
from results.figures.layout import named
from results.figures.model import Figure, Heatmap
from results.figures.options import FigureOptions
from selfish_core.errors import InputError


def topology_matrix(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show the topology distance between every two trials, those of a setting beside each other.

    Args:
        evidence: of the sweep.
        options: with the distances.

    Raises:
        InputError: when there are no distances, or those of one trial only.
    """
    distances = options.distances
    if distances is None:
        raise InputError(
            "the figure topology-matrix is made from masks, which are in the trials' checkpoints and not in their "
            f"records: `selfish figure topology-matrix {evidence.spec.name}` reads them from the trial store"
        )
    seeds = {trial.key: trial.config.seed for trial in evidence.trials}
    labels, places, groups = [], [], []
    for setting in named(evidence, options):
        known = [key for key in setting.keys if key in distances.keys]
        many = len(setting.states) > 1
        labels += [f"{setting.name()}, seed {seeds[key]}" if many else setting.name() for key in known]
        places += [distances.keys.index(key) for key in known]
        groups += [len(known)] if known else []
    if len(places) < 2:
        raise InputError(
            f"masks of {len(places)} of the trials that are shown are at hand, and a distance needs two: "
            f"{distances.note or 'their checkpoints are not kept'}"
        )
    values = tuple(tuple(distances.values[row][column] for column in places) for row in places)
    caption = (
        "Topology distance (NNSTD) between the masks of every two trials: 0 where they are wired alike, 1 where "
        f"nothing is. {distances.note}"
    ).rstrip()
    panel = Heatmap("", tuple(labels), tuple(labels), values, "topology distance", tuple(groups))
    title = f"Topology distances between the trials of {evidence.spec.name}"
    return Figure("topology-matrix", title, caption, "", (panel,), 1, len(labels) > 8)
