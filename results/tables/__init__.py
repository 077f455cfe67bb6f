"""Tables: what is recorded of sweeps, laid out, compared and printed. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.evidence import Evidence
    from results.tables.definition import Definition
    from results.tables.model import Table
    from results.tables.view import View


def build(
    evidence: Evidence | Sequence[Evidence],
    view: View | str | None = None,
    *,
    rows: str | None = None,
    columns: str | None = None,
    metric: str | None = None,
    group_by: str | None = None,
    layout: str | None = None,
    stopped: Collection[str] = (),
) -> Table:
    """Build a table of one sweep, or of the several that a definition names.

    In a notebook:

        import results, results.tables
        from results.tables.render import render

        evidence = results.gather("quickstart")
        print(render(results.tables.build(evidence), "text"))                       # as the spec's `table:` says
        free = results.tables.build(evidence, rows="method", columns="sparsity", metric="val_perplexity")
        print(render(free, "markdown"))                                             # any other fields, as a grid

    Args:
        evidence: what is recorded of the sweep (`results.gather`), or of each sweep of a definition, in its order.
        view: a definition or its name, or any view; None for what the sweep's spec says.
        rows: another field for the rows.
        columns: another field for the columns; `none` for a table of one column.
        metric: another metric, or several, separated by commas; the first is compared.
        group_by: a field whose values make blocks of rows, or several, separated by commas.
        layout: `long` or `grid`; a grid where any of the others is given.
        stopped: content keys of trials that early stopping gave up.

    Raises:
        InputError: when a name is unknown.
    """
    from results.evidence import Evidence
    from results.tables import definition
    from results.tables.assemble import assemble
    from results.tables.view import of_spec

    several = [evidence] if isinstance(evidence, Evidence) else list(evidence)
    base = definition.load(view) if isinstance(view, str) else view or of_spec(several[0].spec)
    chosen = base.changed(rows=rows, columns=columns, metric=metric, group_by=group_by, layout=layout)
    return assemble(several, chosen, stopped)


def definitions() -> Mapping[str, Definition]:
    """Return the tables that come with Selfish, by name."""
    from results.tables.definition import definitions as found

    return found()
