"""When averaging starts: the non-monotone trigger of Merity et al. 2018, in the reading that its authors confirm."""

from __future__ import annotations


class NonMonotoneTrigger:
    """Fire when an epoch is worse than the best of all epochs but the latest few before it.

    With h the validation losses of the epochs before this one, v this one's and n the window:
    fire if len(h) > n and v > min(h[: len(h) - n]).

    Args:
        window: n, at least 1.

    >>> trigger = NonMonotoneTrigger(1)
    >>> [trigger.fires(loss) for loss in (5.0, 4.0, 4.5, 4.4)]
    [False, False, False, True]

    Source: official code of Liu et al. 2021 and of AWD-LSTM; the formula printed in the AWD-LSTM paper
    is a typo, say its authors.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.history: list[float] = []

    def fires(self, val_loss: float) -> bool:
        """Test one epoch's validation loss, then remember it."""
        earlier = self.history[: max(0, len(self.history) - self.window)]
        fires = bool(earlier) and val_loss > min(earlier)
        self.history.append(val_loss)
        return fires
