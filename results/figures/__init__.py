"""Figures of a sweep: plain data (`model`), one module for each family, and two renderers (`paper`, `interactive`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results.evidence import Evidence
    from results.figures.model import Figure
    from results.figures.options import FigureOptions


def build(name: str, evidence: Evidence, options: FigureOptions | None = None) -> Figure:
    """Make a figure of a sweep.

    Args:
        name: one of `results.figures.registry.FIGURES`.
        evidence: what is recorded of the sweep.
        options: what it shows; the sweep's own choice by default.

    Raises:
        InputError: when there is no such figure, it has no such option, or the sweep has not what it shows.
    """
    from results.figures.registry import build as build_named

    return build_named(name, evidence, options)


def __getattr__(name: str) -> Any:
    """Offer `results.figures.FIGURES` without importing any of them before it is asked for."""
    if name == "FIGURES":
        from results.figures.registry import FIGURES

        return FIGURES
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
