"""What has no meaning: combinations of valid values that contradict each other, each refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from selfish_core.accounting import horizon_steps, steps_of_epoch, tensor_targets
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import check_long_enough, facts
from selfish_core.catalogue.scores import REGROWTH_SCORES
from selfish_core.config import SparsityConfig, TrialConfig
from selfish_core.errors import CorpusError, Problem, shown

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
    yield from _horizon(config)
    yield from _momentum(config)
    yield from _counts(config)


def _sizes(config: TrialConfig) -> Iterator[Problem]:
    problem = ARCHITECTURES[config.architecture.name].problem(config.architecture)
    if problem is not None:
        yield Problem(("architecture", problem[0]), problem[1], (("architecture", "name"),))
    training = config.training
    try:
        check_long_enough(facts(config.corpus), training.batch_size, training.eval_batch_size)
    except CorpusError as error:
        size = "eval_batch_size" if "eval_batch_size" in str(error) else "batch_size"
        yield Problem(("training", size), str(error), (("corpus", "train_fraction"), ("corpus", "name")))


def _distribution(part: SparsityConfig) -> Iterator[Problem]:
    also = "distribution"
    if part.distribution == "dense":
        if part.level > 0:
            message = f"a dense trial has sparsity 0, got {part.level}: exclude the pair or name a sparse method"
            yield Problem(("sparsity", "level"), message, (("sparsity", "distribution"), ("method",)))
        if part.removal != "none":
            message = f"distribution dense leaves nothing to regrow, got removal {part.removal!r}: take uniform or er"
            yield _in_sparsity("removal", message, also)
        if part.exact_count is not None:
            yield _in_sparsity("exact_count", "exact_count has no meaning for distribution dense: set it to null", also)
    elif part.exact_count is None:
        message = f"exact_count is missing: distribution {part.distribution!r} needs true or false"
        yield _in_sparsity("exact_count", message, also)


def _updates(part: SparsityConfig) -> Iterator[Problem]:
    nulls = {
        "removal": part.removal == "none",
        "regrowth": part.regrowth == "none",
        "schedule": part.schedule == "never",
    }
    if any(nulls.values()) and not all(nulls.values()):
        given = ", ".join(f"{name}: {getattr(part, name)}" for name in nulls)
        message = f"removal, regrowth and schedule go together (none, none, never for a fixed mask), got {given}"
        yield _in_sparsity("removal", message, "regrowth", "schedule")
        return
    if all(nulls.values()):
        for name in _PARTS_OF_UPDATES:
            if getattr(part, name) is not None:
                message = f"{name} has no meaning without removal and regrowth: leave it out or set it to null"
                yield _in_sparsity(name, message, *nulls)
        return
    if part.level == 0 and part.distribution != "dense":
        message = "sparsity 0 leaves no position to regrow at: take method dense or static, or a sparsity above 0"
        yield _in_sparsity("level", message, "removal")
    if part.removal_rate is None:
        yield _in_sparsity("removal_rate", "removal_rate is missing: removal needs a number in [0, 1]", "removal")
    if (part.update_every_epochs is None) == (part.update_every_steps is None):
        epochs, steps = shown(part.update_every_epochs), shown(part.update_every_steps)
        message = (
            "one of update_every_epochs and update_every_steps must be a number and the other null, "
            f"got {epochs} and {steps}"
        )
        yield _in_sparsity("update_every_epochs", message, "update_every_steps")
    yield from _schedule(part)
    yield from _return(part)


def _schedule(part: SparsityConfig) -> Iterator[Problem]:
    is_timed = part.schedule != "constant"
    for name in ("horizon_epochs", "final_removal_rate"):
        if is_timed and getattr(part, name) is None:
            yield _in_sparsity(name, f"{name} is missing: schedule {part.schedule!r} needs it", "schedule")
    if not is_timed and part.final_removal_rate is not None:
        message = "final_removal_rate has no meaning for a constant schedule: set it to null"
        yield _in_sparsity("final_removal_rate", message, "schedule")
    if part.update_end_fraction is not None and part.horizon_epochs is None:
        message = "update_end_fraction is a share of horizon_epochs, which is missing: give it, or set this to null"
        yield _in_sparsity("update_end_fraction", message, "schedule")
    if not is_timed and part.update_end_fraction is None and part.horizon_epochs is not None:
        message = "horizon_epochs has no meaning for a constant schedule without update_end_fraction: set it to null"
        yield _in_sparsity("horizon_epochs", message, "schedule")


def _return(part: SparsityConfig) -> Iterator[Problem]:
    if part.may_return is None:
        yield _in_sparsity("may_return", "may_return is missing: regrowth needs true or false", "regrowth")
    if part.may_return and part.returned_value is None:
        message = "returned_value is missing: a weight that may return has its old value (keep) or zero (zero)"
        yield _in_sparsity("returned_value", message, "may_return")
    if part.may_return is False and part.returned_value is not None:
        message = "returned_value has no meaning where may_return is false: set it to null"
        yield _in_sparsity("returned_value", message, "may_return")


def _in_sparsity(field: str, message: str, *also: str) -> Problem:
    return Problem(("sparsity", field), message, tuple(("sparsity", name) for name in also))


def _horizon(config: TrialConfig) -> Iterator[Problem]:
    """Refuse a schedule that is over before the first step."""
    rows = steps_of_epoch(config).num_rows
    if rows > 1 and horizon_steps(config) == 0:
        message = (
            f"horizon_epochs {config.sparsity.horizon_epochs} of {rows} rows is less than one step of bptt_length "
            f"{config.training.bptt_length}: shorten bptt_length or lengthen the horizon"
        )
        yield Problem(("sparsity", "horizon_epochs"), message, (("training", "bptt_length"), ("corpus", "name")))


def _momentum(config: TrialConfig) -> Iterator[Problem]:
    regrowth = config.sparsity.regrowth
    if regrowth != "none" and "momentum" in REGROWTH_SCORES[regrowth].needs and not config.optimizer.has_momentum:
        yield Problem(
            ("sparsity", "regrowth"),
            f"regrowth {regrowth!r} reads the optimizer's momentum and {config.optimizer.name!r} has none: "
            "take adam, or sgd with momentum above 0",
            (("optimizer", "name"), ("optimizer", "momentum")),
        )


def _counts(config: TrialConfig) -> Iterator[Problem]:
    for target in tensor_targets(config):
        gates = len(target.shape.gates)
        if target.num_active < gates:
            yield Problem(
                ("sparsity", "level"),
                f"sparsity {config.sparsity.level} leaves {target.num_active} of {target.shape.size} weights of "
                f"{target.shape.name} active, fewer than its {gates} {'gates' if gates > 1 else 'gate'}: "
                "lower it or widen the layer",
            )
            return
