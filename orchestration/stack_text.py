"""The local stack for people and for scripts: where it is and how it is used."""

from __future__ import annotations

import shlex

from orchestration.stack import Stack
from orchestration.terminal import count
from selfish_core.places import without_password


def described(stack: Stack) -> dict[str, object]:
    """Return what a script needs of a stack, JSON-able."""
    plan = stack.plan
    return {
        "jobs_url": plan.jobs_url,
        "ray_address": plan.ray_address,
        "tracking_uri": plan.tracking_uri,
        "token_path": str(stack.token_path),
        "cpus": plan.cpus,
        "gpus": plan.gpus,
        "environment": stack.environment,
    }


def how_to_use(stack: Stack) -> str:
    """Say where a stack is, and what to set to use it."""
    plan = stack.plan
    size = f"{count(plan.cpus, 'CPU')}, {count(plan.gpus, 'GPU')}"
    lines = [
        f"Ray     {plan.jobs_url} ({size}; the cluster is at {plan.ray_address})",
        f"MLflow  {without_password(plan.tracking_uri)}",
        "",
        "`selfish submit SPEC` hands a sweep to it, `selfish down` ends it. For Ray's own commands and other shells:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in stack.environment.items()),
    ]
    if not plan.reach:
        lines += [
            f"Another machine joins with a copy of {stack.token_path}, a secret; nothing that is sent is encrypted:",
            f"  RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=COPY ray start --address={plan.ray_address}",
        ]
    return "\n".join(lines)
