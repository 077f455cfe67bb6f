"""The disk guard: short or not, for a folder with a given number of free bytes."""

from __future__ import annotations

from pathlib import Path

from orchestration.disk import RESERVE_BYTES, DiskGuard, free_bytes

CHECKPOINT = 10**8


def guard(free: int, place: str = "/store") -> DiskGuard:
    return DiskGuard(place, CHECKPOINT, free=lambda folder: free)


def test_a_disk_with_room_for_every_next_checkpoint_twice_is_not_short() -> None:
    assert guard(6 * CHECKPOINT + RESERVE_BYTES).is_short(num_running=3) is None


def test_one_byte_less_is_short_and_both_numbers_are_said() -> None:
    told = guard(6 * CHECKPOINT + RESERVE_BYTES - 1).is_short(num_running=3)
    assert (
        told
        == "868 MB free on the disk of /store, 868 MB needed for the next checkpoints: free some, e.g. by `selfish gc`"
    )


def test_the_first_trial_is_counted_before_it_runs() -> None:
    assert guard(2 * CHECKPOINT + RESERVE_BYTES - 1).is_short(num_running=0)


def test_room_that_comes_back_is_seen() -> None:
    free = [0, 10**12]
    watched = DiskGuard("/store", CHECKPOINT, free=lambda folder: free.pop(0))
    assert watched.is_short()
    assert watched.is_short() is None


def test_object_storage_is_never_short() -> None:
    assert guard(0, place="s3://bucket/prefix").is_short() is None


def test_a_disk_that_cannot_be_asked_is_not_called_short(tmp_path: Path) -> None:
    assert DiskGuard(str(tmp_path / "gone"), CHECKPOINT).is_short() is None


def test_the_free_bytes_are_those_of_the_folders_disk(tmp_path: Path) -> None:
    assert DiskGuard(str(tmp_path), 2**60).is_short()
    assert free_bytes(tmp_path) > 0
