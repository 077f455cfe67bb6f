"""Which checkpoints of stored trials go, by what the sweeps that want a trial keep; what any of them keeps stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from orchestration.agenda import Decided
from orchestration.decisions import read as read_decisions
from orchestration.registry import WANTED
from orchestration.wanted import load_saved
from selfish_core.trial_store import CheckpointRef, KeptCheckpoint, StoredTrial, TrialStore
from sweeps.sections import Keep


@dataclass(frozen=True)
class Policy:
    """What one sweep keeps.

    Args:
        sweep: its name.
        keep: by the newest version of its spec; None where that cannot be read, and all is kept.
        epochs: that it wants of every trial.
        labels: content key -> what people know the trial by, of all trials that it has ever wanted.
        stopped: those that were stopped early: they count as finished.
    """

    sweep: str
    keep: Keep | None
    epochs: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Leaving:
    """What goes of one trial.

    Args:
        key: its content key.
        label: what people know it by.
        checkpoints: whole ones and what interrupted writes left.
        repeated_records: attempts whose single records stand in a sealed file too.
    """

    key: str
    label: str
    checkpoints: tuple[KeptCheckpoint, ...]
    repeated_records: tuple[int, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Bytes of the checkpoints."""
        return sum(checkpoint.num_bytes for checkpoint in self.checkpoints)


@dataclass(frozen=True)
class _Seen:
    """What is stored of a trial, as far as retention asks.

    Args:
        perplexities: on validation, one an epoch.
        tested: epochs of a new validation minimum.
        is_diverged: whether no epoch can follow.
        on_chain: checkpoints from which it could go on, newest first.
    """

    perplexities: tuple[float, ...]
    tested: tuple[int, ...]
    is_diverged: bool
    on_chain: tuple[CheckpointRef, ...]

    @classmethod
    def of(cls, trial: StoredTrial) -> _Seen:
        records = trial.records()
        return cls(
            perplexities=tuple(record.metrics.get("val_perplexity", math.inf) for record in records),
            tested=tuple(one.epoch for one in records if one.outcome == "trained" and "test_perplexity" in one.metrics),
            is_diverged=bool(records) and records[-1].outcome == "diverged",
            on_chain=tuple(trial.checkpoints()),
        )

    def best_epoch(self, epochs: int) -> int | None:
        """The epoch of lowest validation perplexity within the first `epochs`."""
        return max((epoch for epoch in self.tested if epoch <= epochs), default=None)


class Keeper:
    """Apply the policies of all sweeps of a trial store; each trial is read once.

    Args:
        store: the trial store.
        policies: of every sweep in it.
    """

    def __init__(self, store: TrialStore, policies: Sequence[Policy]) -> None:
        self._store = store
        self._policies = policies
        self._seen: dict[str, _Seen] = {}
        self._best: dict[str, str | None] = {}

    def leaving(self, sweeps: Iterable[str], is_free: Callable[[str], bool]) -> Iterator[Leaving]:
        """Yield what goes of the trials that sweeps want.

        Args:
            sweeps: names.
            is_free: says of a content key whether nobody runs the trial.
        """
        chosen = [policy for policy in self._policies if policy.sweep in set(sweeps)]
        labels = {key: label for policy in reversed(chosen) for key, label in policy.labels.items()}
        for key, label in labels.items():
            if is_free(key):
                found = self._of_trial(key, label)
                if found.checkpoints or found.repeated_records:
                    yield found

    def _of_trial(self, key: str, label: str) -> Leaving:
        retention = self._store.trial(key).retention
        wanting = [policy for policy in self._policies if key in policy.labels]
        is_finished = all(self._is_finished(policy, key) for policy in wanting)
        kept = frozenset[CheckpointRef]().union(*(self._kept(policy, key) for policy in wanting))
        going = [one for one in retention.checkpoints() if one.ref not in kept and (is_finished or not one.is_whole)]
        return Leaving(key, label, tuple(going), tuple(retention.repeated_records()))

    def _kept(self, policy: Policy, key: str) -> frozenset[CheckpointRef]:
        """Return the checkpoints that one sweep keeps; the newest is needed to go on to more epochs."""
        seen, keep = self._look(key), policy.keep
        if keep is None or not self._is_finished(policy, key):
            return frozenset(seen.on_chain)
        if keep.finished == "none":
            return frozenset()
        best_epoch = seen.best_epoch(policy.epochs)
        best = frozenset(ref for ref in seen.on_chain if ref.epoch == best_epoch)
        if keep.finished == "all":
            return frozenset(seen.on_chain[: keep.last]) | (best if keep.best_of_trial else frozenset())
        newest = frozenset() if seen.is_diverged else frozenset(seen.on_chain[:1])
        is_best = keep.finished == "best_of_trial" or self._best_trial(policy) == key
        return newest | (best if is_best else frozenset())

    def _is_finished(self, policy: Policy, key: str) -> bool:
        if policy.keep is None:
            return False
        seen = self._look(key)
        return len(seen.perplexities) >= policy.epochs or seen.is_diverged or key in policy.stopped

    def _best_trial(self, policy: Policy) -> str | None:
        """Return the key of the trial whose best epoch has the lowest validation perplexity of a sweep's."""
        if policy.sweep not in self._best:
            found: dict[str, float] = {}
            for key in policy.labels:
                best_epoch = self._look(key).best_epoch(policy.epochs)
                if best_epoch is not None:
                    found[key] = self._look(key).perplexities[best_epoch - 1]
            self._best[policy.sweep] = min(found, key=lambda key: found[key]) if found else None
        return self._best[policy.sweep]

    def _look(self, key: str) -> _Seen:
        if key not in self._seen:
            self._seen[key] = _Seen.of(self._store.trial(key))
        return self._seen[key]


class Free:
    """Which trials nobody runs: no live sweep wants them, and none holds them.

    Args:
        store: the trial store.
        policies: of every sweep in it.
        but: a sweep that the caller owns itself.
        held: the trials that this sweep was given; None where it asked for none.
    """

    def __init__(
        self,
        store: TrialStore,
        policies: Sequence[Policy],
        but: str | None = None,
        held: frozenset[str] | None = None,
    ) -> None:
        self._store = store
        self._policies = policies
        self._but = but
        self._held = held

    @cached_property
    def live(self) -> tuple[str, ...]:
        """Names of the sweeps that a live process owns."""
        names = [policy.sweep for policy in self._policies if policy.sweep != self._but]
        return tuple(name for name in names if self._store.sweep(name).is_owned())

    @cached_property
    def taken(self) -> frozenset[str]:
        """Keys of the trials that are left alone."""
        wanted = {key for policy in self._policies if policy.sweep in self.live for key in policy.labels}
        return frozenset(wanted | {key for key, name in self._store.holders().items() if name != self._but})

    def __call__(self, key: str) -> bool:
        """Whether nobody runs a trial."""
        return key not in self.taken and (self._held is None or key in self._held)


def policies(store: TrialStore, change: Callable[[str, Keep], Keep] = lambda _, keep: keep) -> list[Policy]:
    """Read what every sweep of a trial store keeps.

    Args:
        store: the trial store.
        change: of (a sweep's name, what it keeps), to what is to hold instead.
    """
    found = []
    for name in store.sweep_names():
        wanted, decisions = load_saved(store, name), store.sweep(name).decisions()
        earlier = {key: key[:8] for one in decisions if one.kind == WANTED for key in one.body["trials"]}
        if wanted is None:
            found.append(Policy(name, None, labels=earlier))
            continue
        stopped = Decided.of(read_decisions(store.sweep(name))).stopped
        keep = change(name, wanted.spec.keep)
        labels = {**dict.fromkeys(wanted.labels), **earlier, **wanted.labels}  # in the sweep's order
        found.append(Policy(name, keep, wanted.spec.epochs, labels, stopped))
    return found


def remove(store: TrialStore, leaving: Leaving) -> None:
    """Remove what goes of a trial that nobody runs."""
    retention = store.trial(leaving.key).retention
    for checkpoint in leaving.checkpoints:
        retention.remove(checkpoint.ref)
    for number in leaving.repeated_records:
        retention.remove_repeated_records(number)
