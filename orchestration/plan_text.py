"""A plan as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.plan import Plan, PlannedTrial, num_fitting
from orchestration.prices import price_of
from orchestration.terminal import amount, columns, count, duration
from orchestration.volume import bytes_text
from sweeps.sections import Keep

HEADING = ("key", "trial", "state", "parameters", "active", "FLOPs to run", "time")
MAX_ROWS = 200
"""Trials that are shown one a line; JSON has them all."""


def as_text(plan: Plan, price_per_gpu_hour: float | None = None) -> str:
    """Lay a plan out: one line a trial, then the sums and where the estimates come from.

    Args:
        plan: of a sweep.
        price_per_gpu_hour: where a price is to be told.
    """
    lines = [_counts(plan), ""]
    if plan.trials:
        rows = [_row(trial) for trial in plan.trials[:MAX_ROWS]]
        lines.append(columns([HEADING, *rows], right=frozenset({3, 4, 5, 6})))
        if len(plan.trials) > MAX_ROWS:
            lines.append(f"… {len(plan.trials) - MAX_ROWS:,} more: --json lists all")
        lines += [*_notes(plan), ""]
    if not plan.missing:
        return "\n".join([*lines, "nothing is left to run; a run would start nothing"])
    return "\n".join([*lines, *_sums(plan, price_per_gpu_hour)])


def _counts(plan: Plan) -> str:
    """Say how many trials are in each state."""
    counts = plan.counts()
    num_left_out, num_to_choose = counts.pop("left out"), counts.pop("to choose")
    said = [f"{number} {state}" for state, number in counts.items() if number]
    said += [f"{num_to_choose} to be chosen by the search"] if num_to_choose else []
    excluded = f"; {num_left_out} more excluded or the same as another" if num_left_out else ""
    num_trials = count(len(plan.trials) + num_to_choose, "trial")
    return f"{plan.wanted.spec.name}: {num_trials}: {', '.join(said)}{excluded}"


def _notes(plan: Plan) -> Iterator[str]:
    """Say what is new and why, and what failed and why, each once."""
    new = sorted({trial.note for trial in plan.trials if trial.note and trial.state == "to run"})
    if new:
        yield ""
        yield f"new: {', '.join(new)}: the horizon is part of what a trial computes, so these start at epoch 1"
    failed = [trial for trial in plan.trials if trial.state == "failed"]
    if failed:
        yield ""
        yield f"failed in the last run, and tried again by the next: {count(len(failed), 'trial')}"
        yield from (f"  {trial.key[:8]} {trial.note}" for trial in failed[:MAX_ROWS])


def _sums(plan: Plan, price_per_gpu_hour: float | None) -> Iterator[str]:
    """Say what is to run, how long it takes, what it costs and what it leaves."""
    resources, volume = plan.wanted.spec.resources, plan.volume
    flops = amount(plan.training_flops)
    yield f"to run: {count(len(plan.missing), 'trial')}, {flops} training FLOPs, {_size_of_work(plan)}"
    if price_per_gpu_hour is not None:
        yield f"price: {price_of(plan, price_per_gpu_hour):,.2f} at {price_per_gpu_hour:g} a GPU-hour"
    there = f"{plan.capacity.cpu:g} CPUs and {plan.capacity.gpu:g} GPUs (--cpus, --gpus)"
    if num_fitting(resources, plan.capacity):
        yield f"time: about {duration(plan.seconds)} with {plan.num_at_once} at once on {there}"
    else:
        asked = f"{resources.cpu:g} CPUs and {resources.gpu:g} GPUs"
        yield f"time: about {duration(plan.seconds)} one after another; a trial needs {asked}, there are {there}"
    yield f"estimate: {plan.speed}"
    if plan.wanted.spec.early_stopping is not None:
        yield "all of this at most: early stopping ends some trials sooner"
    kept = f"{bytes_text(volume.kept)} of them stay" if volume.kept else "none of them stays"
    yield f"checkpoints: {bytes_text(volume.running)} at most while they run, {kept} ({_policy(plan.wanted.spec.keep)})"


def _size_of_work(plan: Plan) -> str:
    name, hours = ("GPU", plan.gpu_hours) if plan.wanted.spec.resources.gpu else ("CPU", plan.cpu_hours)
    return f"{hours:,.0f} {name}-hours" if hours >= 100 else f"{hours:.3g} {name}-hours"


def _policy(keep: Keep) -> str:
    """Say a policy in a few words."""
    best = " and the best" if keep.best_of_trial else ""
    return f"keep: the last {keep.last}{best}; finished: {keep.finished}"


def _row(trial: PlannedTrial) -> tuple[str, ...]:
    state = f"{trial.state} at {trial.num_answered}/{trial.trial.epochs}" if trial.num_answered else trial.state
    to_run = (amount(trial.training_flops), duration(trial.seconds)) if trial.is_missing else ("", "")
    sizes = (amount(trial.size.num_parameters), amount(trial.size.num_active))
    return (trial.key[:8], trial.label, state, *sizes, *to_run)
