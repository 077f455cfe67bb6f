"""How much two pictures differ, as a person would see it and not byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

WIDTH = 128
BLUR = 2
"""Pixels: both pictures are brought down and blurred, so that the edges of letters count for little."""

TOLERANCE = 0.01
"""A shift by a pixel (0.005) is below it, and so is another machine's rasteriser; a moved curve (0.017) is above."""


def difference(a: Path, b: Path) -> float:
    """Return the root mean square difference of two pictures' colours, in [0, 1]: 0 alike, 1 black against white.

    Pictures whose shapes differ by more than a hundredth are wholly different: 1.
    """
    first, second = Image.open(a), Image.open(b)
    if abs(first.width * second.height - second.width * first.height) > 0.01 * first.width * second.height:
        return 1.0
    size = (WIDTH, max(1, round(first.height * WIDTH / first.width)))
    return float(np.sqrt(np.mean((_seen(first, size) - _seen(second, size)) ** 2)))


def _seen(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.float64]:
    white = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    blurred = flat.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(BLUR))
    return np.asarray(blurred, dtype=np.float64) / 255.0
