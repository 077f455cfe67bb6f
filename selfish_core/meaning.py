"""What has no meaning: combinations of valid values that contradict each other, each refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from selfish_core.accounting import (
    built_architecture,
    horizon_steps,
    is_chosen,
    parameter_shapes,
    steps_of_epoch,
    tensor_targets,
)
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import check_long_enough, facts
from selfish_core.catalogue.scores import REDISTRIBUTIONS, REGROWTH_SCORES, REMOVAL_SCORES
from selfish_core.config import TrialConfig
from selfish_core.errors import CorpusError, Problem
from selfish_core.meaning_of_parts import problems_of_parts


def contradictions(config: TrialConfig) -> Iterator[Problem]:
    """Yield one problem for each combination that means nothing."""
    yield from _sizes(config)
    found = [Problem(("sparsity", field), text, also) for field, text, also in problems_of_parts(config.sparsity)]
    yield from found
    if found:
        return
    narrow = list(_narrowing(config))
    yield from narrow
    if narrow:
        return
    yield from _patterns(config)
    yield from _horizon(config)
    yield from _moments(config)
    yield from _units(config)
    yield from _counts(config)


def _sizes(config: TrialConfig) -> Iterator[Problem]:
    problem = ARCHITECTURES[config.architecture.name].problem(config.architecture)
    if problem is not None:
        yield Problem(("architecture", problem[0]), problem[1], (("architecture", "name"),))
    training = config.training
    if training.max_bptt_excess is not None and not training.is_bptt_random:
        message = "max_bptt_excess has no meaning where is_bptt_random is false: set it to null"
        yield Problem(("training", "max_bptt_excess"), message, (("training", "is_bptt_random"),))
    try:
        check_long_enough(facts(config.corpus), training.batch_size, training.eval_batch_size, training.test_batch_size)
    except CorpusError as error:
        names = ("test_batch_size", "eval_batch_size", "batch_size")
        size = next(name for name in names if f" {name} " in str(error))
        yield Problem(("training", size), str(error), (("corpus", "train_fraction"), ("corpus", "name")))


def _narrowing(config: TrialConfig) -> Iterator[Problem]:
    """Refuse a small dense network for which even one unit is too many."""
    try:
        built_architecture(config)
    except ValueError as error:
        message = f"sparsity {config.sparsity.level} leaves too little for a dense network: {error}: lower it"
        yield Problem(("sparsity", "level"), message, (("architecture", "hidden_size"),))


def _patterns(config: TrialConfig) -> Iterator[Problem]:
    """Refuse patterns that fit no tensor, or leave none to mask."""
    part = config.sparsity
    names = [shape.name for shape in parameter_shapes(config) if shape.is_maskable]
    known, also = f"the tensors are {', '.join(names)}", (("architecture", "name"),)
    given = {"include": part.include, "exclude": part.exclude}
    for field, patterns in given.items():
        for pattern in [] if patterns is None else patterns.split(","):
            if not any(is_chosen(name, pattern, None) for name in names):
                yield Problem(("sparsity", field), f"{field} {pattern.strip()!r} fits no tensor: {known}", also)
                return
    if not any(is_chosen(name, part.include, part.exclude) for name in names):
        field = "exclude" if part.exclude is not None else "include"
        yield Problem(("sparsity", field), f"{field} {given[field]!r} leaves no tensor to mask: {known}", also)


def _horizon(config: TrialConfig) -> Iterator[Problem]:
    """Refuse a schedule that is over before the first step, and gradients older than the last update."""
    part = config.sparsity
    rows = steps_of_epoch(config).num_rows
    if rows > 1 and horizon_steps(config) == 0:
        message = (
            f"horizon_epochs {part.horizon_epochs} of {rows} rows is less than one step of bptt_length "
            f"{config.training.bptt_length}: shorten bptt_length or lengthen the horizon"
        )
        yield Problem(("sparsity", "horizon_epochs"), message, (("training", "bptt_length"), ("corpus", "name")))
    period = part.update_every_steps or steps_of_epoch(config).num_steps
    if part.gradient_steps is not None and part.gradient_steps > period:
        where = "between mask updates" if part.update_every_steps else "of an epoch"
        message = f"gradient_steps {part.gradient_steps} is more than the {period} steps {where}: lower it"
        also = (("sparsity", "update_every_steps"), ("sparsity", "update_every_epochs"))
        yield Problem(("sparsity", "gradient_steps"), message, also)


def _moments(config: TrialConfig) -> Iterator[Problem]:
    """Refuse what reads or treats an optimizer's momentum where there is none."""
    part, optimizer = config.sparsity, config.optimizer
    if optimizer.has_momentum:
        return
    also = (("optimizer", "name"), ("optimizer", "momentum"))
    remedy = f"optimizer's momentum and {optimizer.name!r} has none: take adam, or sgd with momentum above 0"
    if part.removal != "none" and "momentum" in REMOVAL_SCORES[part.removal].needs:
        yield Problem(("sparsity", "removal"), f"removal {part.removal!r} reads the {remedy}", also)
    elif part.regrowth != "none" and "momentum" in REGROWTH_SCORES[part.regrowth].needs:
        yield Problem(("sparsity", "regrowth"), f"regrowth {part.regrowth!r} reads the {remedy}", also)
    elif "momentum" in REDISTRIBUTIONS[part.redistribution]:
        yield Problem(
            ("sparsity", "redistribution"), f"redistribution {part.redistribution!r} reads the {remedy}", also
        )
    elif part.regrown_state == "keep":
        yield Problem(("sparsity", "regrown_state"), f"regrown_state 'keep' keeps the {remedy}", also)


def _units(config: TrialConfig) -> Iterator[Problem]:
    """Refuse group lasso where a hidden unit cannot be taken out."""
    name = config.architecture.name
    if config.sparsity.group_lasso is not None and not ARCHITECTURES[name].has_unit_groups:
        able = ", ".join(sorted(row.name for row in ARCHITECTURES.values() if row.has_unit_groups))
        message = (
            f"group_lasso has no meaning for architecture {name!r}, whose units cannot be taken out: known are {able}"
        )
        yield Problem(("sparsity", "group_lasso"), message, (("architecture", "name"), ("method",)))


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
