"""A plan as text for people."""

from __future__ import annotations

from orchestration.plan import Plan, PlannedTrial
from orchestration.terminal import amount, columns, count, duration

HEADING = ("key", "trial", "state", "parameters", "active", "FLOPs to run", "time")


def as_text(plan: Plan) -> str:
    """Lay a plan out: one line a trial, then the sums and where the estimate comes from."""
    counts = plan.counts()
    said = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    excluded = f"; {plan.num_left_out} more excluded or the same as another" if plan.num_left_out else ""
    lines = [f"{plan.sweep}: {count(len(plan.trials), 'trial')}: {said}{excluded}", ""]
    lines.append(columns([HEADING, *(_row(trial) for trial in plan.trials)], right=frozenset({3, 4, 5, 6})))
    rekeyed = sorted({trial.rekeyed for trial in plan.trials if trial.rekeyed})
    if rekeyed:
        lines += [
            "",
            f"new: {', '.join(rekeyed)}: the horizon is part of what a trial computes, so these start at epoch 1",
        ]
    lines.append("")
    if plan.missing:
        flops = amount(sum(trial.training_flops for trial in plan.trials))
        lines.append(
            f"to run: {count(len(plan.missing), 'trial')}, {flops} training FLOPs, about {duration(plan.seconds)} "
            f"with {plan.num_at_once} at once"
        )
        lines.append(f"time: {plan.speed}")
    else:
        lines.append("all are answered; a run would start nothing")
    return "\n".join(lines)


def _row(trial: PlannedTrial) -> tuple[str, ...]:
    state = f"{trial.state} at {trial.num_answered}/{trial.epochs}" if trial.num_answered else trial.state
    to_run = (amount(trial.training_flops), duration(trial.seconds)) if trial.is_missing else ("", "")
    return (trial.key[:8], trial.label, state, amount(trial.num_parameters), amount(trial.num_active), *to_run)
