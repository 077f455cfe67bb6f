"""What people read in MLflow: the names of runs and the notes above experiments, sweeps and trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from orchestration.terminal import count
from results import names
from results.aggregate import TrialLike

TABLE_HEADING = "\n## Table\n\n"
IN_EVERY_NAME = ("method", "sparsity", "sparsity.level", "seed")


class Pointed(Protocol):
    """A trial that knows its place in the sweep."""

    @property
    def point(self) -> Mapping[str, Any]:
        """Axis field -> value."""


def run_name(trial: TrialLike) -> str:
    """Name a trial's run by what a reader looks for, e.g. `selfish 0.67 seed 2`; other axes follow as `field=value`.

    A horizon that is the whole run goes without saying.
    """
    flat = trial.config.flat()
    level = flat.get("sparsity.level", 0.0)
    parts = [str(flat.get("method", "trial"))]
    if level:
        parts.append(f"{level:g}" if isinstance(level, float) else str(level))
    parts.append(f"seed {flat.get('seed', 0)}")
    point: Mapping[str, Any] = getattr(trial, "point", {})
    as_usual = {"sparsity.horizon_epochs": getattr(trial, "epochs", None)}
    parts += [
        f"{field.rpartition('.')[2]}={value}"
        for field, value in sorted(point.items())
        if field not in IN_EVERY_NAME and as_usual.get(field, ...) != value
    ]
    return " ".join(parts)


def experiment_note(path: str) -> str:
    """Say what an experiment shows and where to start."""
    return (
        "Trials of the sweep service **Selfish**: dynamic sparse training of recurrent language models.\n\n"
        "- Each **sweep** is one parent run; its trials are nested below it, one run per trial.\n"
        "- **Chart view** shows curves by epoch: `curves/val_perplexity`, `curves/sparsity`, "
        "`gate_density/<layer>.<gate>` (the share of a gate's weights that is active).\n"
        "- Search with e.g. ``params.method = 'selfish' and metrics.`curves/sparsity` > 0.6`` "
        "or ``tags.state = 'diverged'``.\n"
        f"- MLflow is a view; what counts is the trial store `{path}`. `selfish sync --rebuild` makes the view anew.\n"
    )


def sweep_note(name: str, description: str, states: Mapping[str, str]) -> str:
    """Say what a sweep is, how far it is, and how to get its table."""
    counts = Counter(states.values())
    progress = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
    return (
        f"**Sweep {name}**: {description or 'no description'}\n\n"
        f"{count(len(states), 'trial')}: {progress or 'none yet'}.\n\n"
        "- Its trials are nested below it; the **Chart view** has their curves by epoch, and **Group by** takes "
        "`method`, `sparsity` or `seed`.\n"
        "- **Artifacts** has the table in every form, the figures and the spec; of each trial its config, learning "
        "curve and gate densities.\n"
        "- **Logged models** has the best trial's network, ready to score text, where its checkpoint is kept.\n"
        f"- `selfish table {name}` prints the table, `selfish report {name}` writes a page to read, "
        f"`selfish run {name}` goes on where it stopped.\n"
    )


def with_table(note: str, table: str) -> str:
    """Add a sweep's table to its note; a long one is left to the artifact."""
    whole = f"{note}{TABLE_HEADING}{table}"
    return (
        whole if len(whole) <= names.MAX_TAG_CHARS else f"{note}{TABLE_HEADING}`table.md` and `table.html` below it\n"
    )


def without_table(note: str) -> str:
    """Undo `with_table`."""
    return note.partition(TABLE_HEADING)[0]


def trial_note(trial: TrialLike, state: str, num_epochs: int, epochs: int, message: str) -> str:
    """Say what a trial is and how it went."""
    flat = trial.config.flat()
    lines = [
        f"**{run_name(trial)}** on `{flat.get('corpus.name', '?')}` with `{flat.get('architecture.name', '?')}`: "
        f"{state}, {num_epochs} of {epochs} epochs.",
        f"\n`selfish show {trial.key[:12]}` prints its records.",
    ]
    if message:
        lines.append(f"\n> {message}")
    return "\n".join(lines) + "\n"
