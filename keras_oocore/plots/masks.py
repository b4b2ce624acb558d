"""Colors masks of classes, to draw them over images. The outline of each class is opaque."""

import numpy as np

PALETTE = np.array(
    [
        [214, 39, 40],
        [31, 119, 180],
        [255, 187, 40],
        [44, 160, 44],
        [148, 103, 189],
        [23, 190, 207],
        [227, 119, 194],
        [140, 86, 75],
    ],
    np.uint8,
)
FILL = 90  # of 255: the image stays visible
VOID = 255  # marks pixels without a class in many data sets
VOID_COLOR = (128, 128, 128)


def color_of(number: int) -> tuple[int, int, int]:
    """Return the color of a class. Class 0 is the background and has no color of its own."""
    return VOID_COLOR if number == VOID else tuple(PALETTE[(number - 1) % len(PALETTE)].tolist())


def overlay(mask: np.ndarray) -> np.ndarray:
    """Return a mask as a picture to draw over an image.

    Args:
        mask: Array of shape `(height, width)`: the class of each pixel, where 0 is the background, or a probability.

    Returns:
        `uint8` RGBA array of shape `(height, width, 4)`, transparent where there is no class.

    >>> overlay(np.array([[0, 1]]))[0].tolist()
    [[0, 0, 0, 0], [214, 39, 40, 255]]
    """
    picture = np.zeros((*mask.shape, 4), np.uint8)
    if mask.dtype.kind == "f" and (mask % 1 != 0).any():
        picture[..., :3] = PALETTE[0]
        picture[..., 3] = np.nan_to_num(np.clip(mask, 0, 1)) * 160
        classes = (mask > 0.5).astype(np.int64)
    else:
        classes = mask.astype(np.int64)
        for number in np.unique(classes).tolist():
            if number:
                picture[classes == number] = (*color_of(number), FILL)
    picture[_outline(classes), 3] = 255
    return picture


def classes_in(masks: np.ndarray) -> list[int]:
    """Return the classes of masks, without the background. Probabilities have no classes."""
    if masks.dtype.kind == "f" and (masks % 1 != 0).any():
        return []
    return [int(number) for number in np.unique(masks) if number]


def _outline(classes: np.ndarray) -> np.ndarray:
    """Return which pixels of a class have a neighbor of another class, `bool` of the same shape."""
    outline = np.zeros(classes.shape, bool)
    for axis in (0, 1):
        differs = np.diff(classes, axis=axis) != 0
        before = [slice(None)] * 2
        after = [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        outline[tuple(before)] |= differs
        outline[tuple(after)] |= differs
    return outline & (classes != 0)
