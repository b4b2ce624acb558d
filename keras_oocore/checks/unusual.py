"""Finds unusual images among the measures of all: blank, very dark, blurred, of an odd size, or with a wrong ending."""

import os

import numpy as np

from keras_oocore.checks.inputs import Input
from keras_oocore.checks.measured import FORMATS, Measured
from keras_oocore.images.formats import ENDINGS

DARK = 32  # grey level that 95% of the pixels of a very dark image do not exceed
BLURRED = 0.4  # sharpness. 200 photos had 0.66 or more; blurred by 2% of their shorter side, 95% of them had less.
LEAST_SIDE = 8  # pixels
TIMES_AREA, TIMES_ASPECT = 16.0, 3.0  # how many times the median is odd, unless sizes vary more
DEVIATIONS = 6  # median absolute deviations


def unusual_images(data: Input, measured: Measured) -> dict[str, dict[str, str]]:
    """Return what is unusual → name of a file → details. Kinds without files are left out.

    Sizes and endings are judged if the files were read, and not rows of a cache.
    """
    blank = measured.is_blank
    seen = measured.has_picture & ~blank
    found = {
        "blank": {
            data.file(i): f"all of its pixels are almost equal, with a grey level of {measured.bright[i]} of 255"
            for i in np.flatnonzero(blank).tolist()
        },
        "very dark": {
            data.file(i): f"95% of its pixels have a grey level of {measured.bright[i]} of 255 or less"
            for i in np.flatnonzero(seen & (measured.bright < DARK)).tolist()
        },
        "blurred": {
            data.file(i): f"its sharpness is {measured.sharpness[i]:.2f}; that of sharp photos is about 1"
            for i in np.flatnonzero(seen & (measured.sharpness < BLURRED)).tolist()
        },
        "odd size": _odd_sizes(data, measured),
        "wrong ending": _wrong_endings(data, measured),
    }
    return {kind: files for kind, files in found.items() if files}


def _odd_sizes(data: Input, measured: Measured) -> dict[str, str]:
    known = np.flatnonzero(measured.heights > 0)
    if not len(known):
        return {}
    heights, widths = (sides[known].astype(np.float64) for sides in (measured.heights, measured.widths))
    odd = np.minimum(heights, widths) < LEAST_SIDE
    if np.median(np.minimum(heights, widths)) < LEAST_SIDE:
        odd[:] = False  # all are small
    for values, times in ((np.log(heights * widths), TIMES_AREA), (np.log(heights / widths), TIMES_ASPECT)):
        away = np.abs(values - np.median(values))
        odd |= away > max(np.log(times), DEVIATIONS * np.median(away))
    usual = f"{np.median(heights):.0f}x{np.median(widths):.0f}"
    return {
        data.file(i): f"{measured.heights[i]}x{measured.widths[i]} pixels (height x width); the median is {usual}"
        for i in known[odd].tolist()
    }


def _wrong_endings(data: Input, measured: Measured) -> dict[str, str]:
    kinds = {ending: number for number, name in enumerate(FORMATS) for ending in ENDINGS.get(name, ())}
    found = {}
    for i in np.flatnonzero(measured.formats > 0).tolist():
        number = measured.formats[i]
        ending = os.path.splitext(data.file(i))[1].lower()
        if kinds.get(ending, number) != number:
            found[data.file(i)] = f"it ends in {ending}, but it is a {FORMATS[number]} file"
    return found
