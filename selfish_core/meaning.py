"""What has no meaning: combinations of valid values that contradict each other, each refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from selfish_core.accounting import tensor_targets
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import check_long_enough, facts
from selfish_core.catalogue.scores import REGROWTH_SCORES
from selfish_core.config import SparsityConfig, TrialConfig
from selfish_core.errors import CorpusError, Problem

_PARTS_OF_UPDATES = (
    "removal_rate",
    "final_removal_rate",
    "horizon_epochs",
    "update_every_epochs",
    "update_every_steps",
    "update_end_fraction",
    "may_return",
    "returned_value",
)


def contradictions(config: TrialConfig) -> Iterator[Problem]:
    """Yield one problem for each combination that means nothing."""
    yield from _sizes(config)
    yield from _distribution(config.sparsity)
    yield from _updates(config.sparsity)
    yield from _momentum(config)
    yield from _counts(config)


def _sizes(config: TrialConfig) -> Iterator[Problem]:
    problem = ARCHITECTURES[config.architecture.name].problem(config.architecture)
    if problem is not None:
        yield Problem(("architecture", problem[0]), problem[1])
    training = config.training
    try:
        check_long_enough(facts(config.corpus), training.batch_size, training.eval_batch_size)
    except CorpusError as error:
        yield Problem(("training",), str(error))


def _distribution(part: SparsityConfig) -> Iterator[Problem]:
    if part.distribution == "dense":
        if part.level > 0:
            yield Problem(("sparsity", "level"), f"a dense trial has sparsity 0, got {part.level}: exclude the pair or name a sparse method")
        if part.removal != "none":
            yield Problem(("sparsity", "removal"), f"distribution dense leaves nothing to regrow, got removal {part.removal!r}: take uniform or er")
        if part.exact_count is not None:
            yield Problem(("sparsity", "exact_count"), "exact_count has no meaning for distribution dense: leave it out")
    elif part.exact_count is None:
        yield Problem(("sparsity", "exact_count"), f"exact_count is missing: distribution {part.distribution!r} needs true or false")


def _updates(part: SparsityConfig) -> Iterator[Problem]:
    nulls = {"removal": part.removal == "none", "regrowth": part.regrowth == "none", "schedule": part.schedule == "never"}
    if any(nulls.values()) and not all(nulls.values()):
        given = ", ".join(f"{name}: {getattr(part, name)}" for name in nulls)
        yield Problem(("sparsity", "removal"), f"removal and regrowth go together (none, none, never for a fixed mask), got {given}")
        return
    if all(nulls.values()):
        for name in _PARTS_OF_UPDATES:
            if getattr(part, name) is not None:
                yield Problem(("sparsity", name), f"{name} has no meaning without removal and regrowth: leave it out")
        return
    if part.removal_rate is None:
        yield Problem(("sparsity", "removal_rate"), "removal_rate is missing: removal needs a number in [0, 1]")
    if (part.update_every_epochs is None) == (part.update_every_steps is None):
        yield Problem(("sparsity", "update_every_epochs"), "one of update_every_epochs and update_every_steps must be given, not both (set the other to null)")
    yield from _schedule(part)
    yield from _return(part)


def _schedule(part: SparsityConfig) -> Iterator[Problem]:
    is_timed = part.schedule != "constant"
    for name in ("horizon_epochs", "final_removal_rate"):
        if is_timed and getattr(part, name) is None:
            yield Problem(("sparsity", name), f"{name} is missing: schedule {part.schedule!r} needs it")
    if not is_timed and part.final_removal_rate is not None:
        yield Problem(("sparsity", "final_removal_rate"), "final_removal_rate has no meaning for a constant schedule: set it to null")
    if part.update_end_fraction is not None and part.horizon_epochs is None:
        yield Problem(("sparsity", "update_end_fraction"), "update_end_fraction is a share of horizon_epochs, which is missing")
    if not is_timed and part.update_end_fraction is None and part.horizon_epochs is not None:
        yield Problem(("sparsity", "horizon_epochs"), "horizon_epochs has no meaning for a constant schedule without update_end_fraction")


def _return(part: SparsityConfig) -> Iterator[Problem]:
    if part.may_return is None:
        yield Problem(("sparsity", "may_return"), "may_return is missing: regrowth needs true or false")
    if part.may_return and part.returned_value is None:
        yield Problem(("sparsity", "returned_value"), "returned_value is missing: a weight that may return keeps its value or is zero")
    if part.may_return is False and part.returned_value is not None:
        yield Problem(("sparsity", "returned_value"), "returned_value has no meaning where may_return is false: set it to null")


def _momentum(config: TrialConfig) -> Iterator[Problem]:
    regrowth = config.sparsity.regrowth
    if regrowth != "none" and "momentum" in REGROWTH_SCORES[regrowth].needs and not config.optimizer.has_momentum:
        yield Problem(
            ("sparsity", "regrowth"),
            f"regrowth {regrowth!r} reads the optimizer's momentum and {config.optimizer.name!r} has none: "
            "take adam, or sgd with momentum above 0",
        )


def _counts(config: TrialConfig) -> Iterator[Problem]:
    for target in tensor_targets(config):
        if target.num_active < len(target.shape.gates):
            yield Problem(
                ("sparsity", "level"),
                f"sparsity {config.sparsity.level} leaves {target.num_active} of {target.shape.size} weights of "
                f"{target.shape.name} active, fewer than its {len(target.shape.gates)} gates: lower it or widen the layer",
            )
            return
