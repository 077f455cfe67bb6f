"""`selfish run --rerun KEY | --code-older-than VERSION`: answer trials anew; their old answers stay in the store.

A trial that is answered anew gets a new attempt that goes on from nothing. Readers follow the newest attempt, so from
then on the trial has no answer; the attempts before it are kept, and `selfish show` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.wanted import Wanted
from selfish_core.errors import InputError
from selfish_core.provenance import code_version
from selfish_core.records import Record
from selfish_core.trial_store import TrialStore

REASON = "rerun"
NOW = "now"
"""Stands for the version of this very code."""


def chosen(wanted: Wanted, store: TrialStore, prefixes: Sequence[str], older_than: str | None) -> list[str]:
    """Return the content keys of a sweep's trials that are to be answered anew.

    Args:
        wanted: the sweep.
        store: its trial store.
        prefixes: first digits of keys.
        older_than: a code version of the sweep's records, or `now`; None for no such choice. A hash has no order, so
            other code is older where its records ended before the first of that version began.

    Raises:
        InputError: when a prefix fits no trial, or no record has that version.
    """
    keys = [trial.key for trial in wanted.trials]
    named = []
    for prefix in prefixes:
        found = [key for key in keys if key.startswith(prefix)]
        if not prefix or len(found) != 1:
            raise InputError(
                f"--rerun {prefix!r}: {len(found)} trials of {wanted.spec.name} have a key that starts so, one must: "
                "`selfish plan` shows them"
            )
        named += found
    old = _older(keys, store, older_than) if older_than is not None else set()
    return [key for key in keys if key in old or key in named]


def start_anew(store: TrialStore, keys: Sequence[str]) -> list[str]:
    """Take trials their answers, and return which; one whose new answer is still on its way goes on with that."""
    begun = []
    for key in keys:
        trial = store.trial(key)
        attempts = trial.attempts()
        if attempts and not (attempts[-1].reason == REASON and trial.answered_epochs() == 0):
            trial.claim(None, REASON)
            begun.append(key)
    return begun


def _older(keys: Sequence[str], store: TrialStore, version: str) -> set[str]:
    records = {key: store.trial(key).records() for key in keys}
    wanted = code_version() if version == NOW else version
    begins = [record.timing.started_ms for own in records.values() for record in own if _is_of(record, wanted)]
    if not begins and version != NOW:
        known = sorted({record.provenance.code_version for own in records.values() for record in own})
        raise InputError(
            f"--code-older-than {version!r}: no record of this sweep has that code version; "
            f"there are {', '.join(known) or 'none'}, and {NOW!r} for the code that runs now"
        )
    return {key for key, own in records.items() if _is_older(own, wanted, min(begins, default=None))}


def _is_older(records: Sequence[Record], version: str, begin: int | None) -> bool:
    others = [record for record in records if not _is_of(record, version)]
    return any(begin is None or record.timing.finished_ms <= begin for record in others)


def _is_of(record: Record, version: str) -> bool:
    return record.provenance.code_version == version
