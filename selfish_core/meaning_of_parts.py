"""Which parts of a method go together: each part says where it has a meaning and where it must be given.

There are three kinds of masks over time. Fixed: nothing moves. Moving (sparse to sparse): removal, then regrowth.
Pruned (dense to sparse): removal alone, from `initial_level` on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REGROWTH_SCORES, REMOVAL_SCORES
from selfish_core.errors import shown
from selfish_core.wording import allowed

Found = tuple[str, str, tuple[tuple[str, ...], ...]]
"""A field, what is wrong with it in one line, and the other fields that take part in it."""

Test = Callable[[SparsityConfig], bool]


@dataclass(frozen=True)
class _Rule:
    """Where one part has a meaning.

    Args:
        field: the part.
        has_meaning: whether it has one beside the others.
        owner: the field on which that depends most.
        is_needed: whether it must be given there.
    """

    field: str
    has_meaning: Test
    owner: str
    is_needed: bool = False


def _moves(part: SparsityConfig) -> bool:
    return part.removal != "none" and part.initial_level is None


def _is_pruned(part: SparsityConfig) -> bool:
    return part.initial_level is not None


def _is_timed(part: SparsityConfig) -> bool:
    """Whether masks change after a number of steps or epochs, and not at the ends of rounds."""
    return _moves(part) or (_is_pruned(part) and part.schedule != "rewind")


def _removes_by(part: SparsityConfig, *rules: str) -> bool:
    return part.removal in REMOVAL_SCORES and REMOVAL_SCORES[part.removal].rule in rules


def _has_window(part: SparsityConfig) -> bool:
    return part.update_start_fraction is not None or part.update_end_fraction is not None


def _is_masked(part: SparsityConfig) -> bool:
    return part.distribution not in ("dense", "small_dense")


def _reads_gradient(part: SparsityConfig) -> bool:
    return part.regrowth in REGROWTH_SCORES and "gradient" in REGROWTH_SCORES[part.regrowth].needs


_RULES = (
    _Rule("exact_count", _is_masked, "distribution", is_needed=True),
    _Rule("initial_mask", lambda part: _is_masked(part) and not _is_pruned(part), "distribution"),
    _Rule("include", _is_masked, "distribution"),
    _Rule("exclude", _is_masked, "distribution"),
    _Rule(
        "granularity",
        lambda part: _removes_by(part, "count", "threshold") or part.initial_mask == "snip",
        "removal",
    ),
    _Rule("initial_threshold", lambda part: _removes_by(part, "threshold"), "removal", is_needed=True),
    _Rule("threshold_tolerance", lambda part: _removes_by(part, "threshold"), "removal", is_needed=True),
    _Rule(
        "removal_rate",
        lambda part: _moves(part) and _removes_by(part, "count", "threshold"),
        "removal",
        is_needed=True,
    ),
    _Rule("final_removal_rate", lambda part: part.schedule in ("linear", "cosine"), "schedule", is_needed=True),
    _Rule(
        "horizon_epochs",
        lambda part: part.schedule in ("linear", "cosine", "cubic") or (_is_timed(part) and _has_window(part)),
        "schedule",
        is_needed=True,
    ),
    _Rule("update_every_epochs", _is_timed, "schedule"),
    _Rule("update_every_steps", _is_timed, "schedule"),
    _Rule("update_replaces_step", lambda part: part.update_every_steps is not None, "update_every_steps"),
    _Rule("update_start_fraction", _is_timed, "schedule"),
    _Rule("update_end_fraction", _is_timed, "schedule"),
    _Rule("redistribution", _moves, "regrowth"),
    _Rule("gate_regrowth", lambda part: _moves(part) and part.granularity != "gate", "granularity"),
    _Rule("gradient_steps", _reads_gradient, "regrowth"),
    _Rule("may_return", _moves, "regrowth", is_needed=True),
    _Rule("returned_value", lambda part: part.may_return is True, "may_return", is_needed=True),
    _Rule("regrown_state", _moves, "regrowth"),
    _Rule("warm_up_steps", lambda part: part.regrown_state == "warm_up", "regrown_state", is_needed=True),
    _Rule("clip_on", _is_masked, "distribution"),
    _Rule("group_lasso", lambda part: part.distribution == "dense", "distribution"),
    _Rule("zero_threshold", lambda part: part.group_lasso is not None, "group_lasso"),
    _Rule("rewind_rounds", lambda part: part.schedule == "rewind", "schedule", is_needed=True),
    _Rule("round_epochs", lambda part: part.schedule == "rewind", "schedule", is_needed=True),
    _Rule("rewind_to_epoch", lambda part: part.schedule == "rewind", "schedule", is_needed=True),
)


@lru_cache(maxsize=1024)
def problems_of_parts(part: SparsityConfig) -> tuple[Found, ...]:
    """Return what is wrong with the parts of a method beside each other."""
    return tuple(_problems(part))


def _problems(part: SparsityConfig) -> Iterator[Found]:
    kind = list(_kind(part))
    yield from kind
    yield from _level(part)
    if kind:
        return
    for rule in _RULES:
        yield from _apply(rule, part)
    yield from _times(part)


def _apply(rule: _Rule, part: SparsityConfig) -> Iterator[Found]:
    value, neutral = getattr(part, rule.field), SparsityConfig.model_fields[rule.field].default
    owner = getattr(part, rule.owner)
    if rule.has_meaning(part):
        if rule.is_needed and value is None:
            values = allowed(SparsityConfig, rule.field)
            yield _found(rule.field, f"{rule.field} is missing: {rule.owner} {shown(owner)} needs {values}", rule.owner)
    elif value != neutral:
        what = f"{rule.field} has no meaning for {rule.owner} {shown(owner)}"
        yield _found(rule.field, f"{what}: leave it out or set it to {_plain(neutral)}", rule.owner)


def _kind(part: SparsityConfig) -> Iterator[Found]:
    """Fixed, moving or pruned: removal, regrowth, schedule and the first sparsity must agree."""
    given = f"got removal: {part.removal}, regrowth: {part.regrowth}, schedule: {part.schedule}"
    if _is_pruned(part):
        if not _removes_by(part, "count") or part.regrowth != "none" or part.schedule not in ("cubic", "rewind"):
            message = f"initial_level is for pruning: counted removal, regrowth none, schedule cubic or rewind, {given}"
            yield _found("initial_level", message, "removal", "regrowth", "schedule")
        return
    parts = {
        "removal": part.removal != "none",
        "regrowth": part.regrowth != "none",
        "schedule": part.schedule != "never",
    }
    if any(parts.values()) and not all(parts.values()):
        message = f"removal, regrowth and schedule go together (none, none, never for a fixed mask), {given}"
        yield _found("removal", message, "regrowth", "schedule")
    elif part.schedule in ("cubic", "rewind"):
        message = (
            f"schedule {part.schedule!r} is for pruning: give initial_level (0 for a dense start) and regrowth none"
        )
        yield _found("schedule", message, "regrowth")
    elif _removes_by(part, "sign") and part.returned_value == "keep":
        message = f"removal {part.removal!r} lets a weight return only as a new one: take returned_value zero, got keep"
        yield _found("returned_value", message, "removal")
    elif _removes_by(part, "sign") and part.schedule != "constant":
        message = f"removal {part.removal!r} follows no rate: take schedule constant, got {part.schedule!r}"
        yield _found("schedule", message, "removal")


def _level(part: SparsityConfig) -> Iterator[Found]:
    if part.distribution == "dense" and part.level > 0:
        message = f"a dense trial has sparsity 0, got {part.level}: exclude the pair or name a sparse method"
        yield "level", message, (("sparsity", "distribution"), ("method",))
    if part.distribution == "small_dense" and part.level == 0:
        yield _found(
            "level", "small_dense needs a sparsity above 0 to be as small as, got 0: take dense", "distribution"
        )
    if not _is_masked(part) and part.removal != "none":
        message = (
            f"distribution {part.distribution} has no mask to change, got removal {part.removal!r}: take uniform or er"
        )
        yield _found("removal", message, "distribution")
    if _is_masked(part) and part.level == 0 and (part.removal != "none" or part.initial_mask != "random"):
        message = "sparsity 0 leaves no position to regrow at: take method dense or static, or a sparsity above 0"
        yield _found("level", message, "removal")
    if _is_pruned(part) and (part.initial_level or 0.0) >= part.level > 0:
        message = f"initial_level must be below level {part.level}, got {part.initial_level}"
        yield _found("initial_level", message, "level")
    if part.exact_count is False and (_is_pruned(part) or part.initial_mask == "snip"):
        yield _found(
            "exact_count", "exact_count must be true where weights are chosen by a score at once", "initial_mask"
        )


def _times(part: SparsityConfig) -> Iterator[Found]:
    if _is_timed(part) and (part.update_every_epochs is None) == (part.update_every_steps is None):
        epochs, steps = shown(part.update_every_epochs), shown(part.update_every_steps)
        message = (
            "one of update_every_epochs and update_every_steps must be a number and the other null, "
            f"got {epochs} and {steps}"
        )
        yield _found("update_every_epochs", message, "update_every_steps")
    if part.update_every_steps == 1 and part.update_replaces_step:
        message = "update_every_steps must be at least 2 where the update takes an optimizer step's place, got 1"
        yield _found("update_every_steps", message, "update_replaces_step")
    start, end = part.update_start_fraction, part.update_end_fraction
    if start is not None and start >= (end or 1.0):
        message = f"update_start_fraction must be below update_end_fraction {end or 1.0}, got {start}"
        yield _found("update_start_fraction", message, "update_end_fraction")
    if part.rewind_to_epoch is not None and part.round_epochs is not None and part.rewind_to_epoch >= part.round_epochs:
        message = f"rewind_to_epoch must be below round_epochs {part.round_epochs}, got {part.rewind_to_epoch}"
        yield _found("rewind_to_epoch", message, "round_epochs")


def _plain(neutral: object) -> str:
    return neutral if isinstance(neutral, str) else shown(neutral)


def _found(field: str, message: str, *also: str) -> Found:
    return field, message, tuple(("sparsity", name) for name in also)
