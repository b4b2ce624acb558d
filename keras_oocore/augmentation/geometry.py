"""Crops, flips, shears, rotates, zooms and moves an image, in one warp."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from keras_oocore.augmentation.draws import Stream, uniform
from keras_oocore.augmentation.operation import ImageSpec, Operation
from keras_oocore.augmentation.warp import WARPED_DTYPES, FillMode, Interpolation, warped
from keras_oocore.images import codecs

Flip = Literal["horizontal", "vertical", "horizontal_and_vertical"]
FLIPS = get_args(Flip)
Bounds = tuple[float, float]

ASPECTS = (3 / 4, 4 / 3)  # of a crop: Szegedy et al., "Going Deeper with Convolutions", 2015


@dataclass(frozen=True)
class Geometry(Operation):
    """What is drawn, with the bounds of each factor. They are explained in `ko.augment`.

    Attributes:
        flip: Which flips are drawn.
        rotation: In turns.
        zoom, translation, shear: As shares of the image.
        crop_area: As a share of the image, or `None`.
        crop_size: Height and width, or `None`.
        fill_mode, fill_value, interpolation: Those of `warp`.
    """

    flip: Flip | None = None
    rotation: Bounds = (0.0, 0.0)
    zoom: Bounds = (0.0, 0.0)
    translation: Bounds = (0.0, 0.0)
    shear: Bounds = (0.0, 0.0)
    crop_area: Bounds | None = None
    crop_size: tuple[int, int] | None = None
    fill_mode: FillMode = "reflect"
    fill_value: float = 0.0
    interpolation: Interpolation = "bilinear"

    def size(self, spec: ImageSpec) -> tuple[int, int]:
        """Return height and width of the results."""
        return self.crop_size or (spec.height, spec.width)

    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> np.ndarray:
        """Return matrices from positions in the results to positions in the images, of shape `(batch, 2, 3)`."""
        height, width = self.size(spec)
        matrices = self._crops(keys, spec)
        if self.flip is not None:
            flips = ("horizontal", Stream.FLIP_HORIZONTAL, 0, width), ("vertical", Stream.FLIP_VERTICAL, 1, height)
            for name, stream, axis, size in flips:
                if name in self.flip:
                    flipped = uniform(keys, stream) < 0.5
                    step = _identities(len(keys))
                    step[flipped, axis, axis], step[flipped, axis, 2] = -1, size - 1
                    matrices = matrices @ step
        linear = self._linear(keys)
        if linear is not None:
            center = np.array([(width - 1) / 2, (height - 1) / 2])
            step = _identities(len(keys))
            step[:, :2, :2] = linear
            step[:, :2, 2] = center - linear @ center
            matrices = matrices @ step
        if self.translation != (0, 0):
            step = _identities(len(keys))
            step[:, 0, 2] = -width * uniform(keys, Stream.TRANSLATION_WIDTH, *self.translation)
            step[:, 1, 2] = -height * uniform(keys, Stream.TRANSLATION_HEIGHT, *self.translation)
            matrices = matrices @ step
        return matrices[:, :2]

    def _linear(self, keys: np.ndarray) -> np.ndarray | None:
        """Return shear, rotation and zoom about the center, of shape `(batch, 2, 2)`."""
        if self.shear == self.rotation == self.zoom == (0, 0):
            return None
        linear = np.broadcast_to(np.eye(2), (len(keys), 2, 2)).copy()
        if self.shear != (0, 0):
            linear[:, 0, 1] = uniform(keys, Stream.SHEAR_HORIZONTAL, *self.shear)
            linear[:, 1, 0] = uniform(keys, Stream.SHEAR_VERTICAL, *self.shear)
        if self.rotation != (0, 0):
            angles = 2 * math.pi * uniform(keys, Stream.ROTATION, *self.rotation)
            cos, sin = np.cos(angles), np.sin(angles)
            linear = linear @ np.stack([cos, -sin, sin, cos], axis=1).reshape(-1, 2, 2)
        if self.zoom != (0, 0):
            linear = linear * (1 + uniform(keys, Stream.ZOOM, *self.zoom))[:, np.newaxis, np.newaxis]
        return linear

    def _crops(self, keys: np.ndarray, spec: ImageSpec) -> np.ndarray:
        """Return matrices from positions in the results to positions in the images, of shape `(batch, 3, 3)`."""
        crops = _identities(len(keys))
        if self.crop_size is not None:
            for axis, (stream, size, length) in enumerate(
                zip((Stream.CROP_LEFT, Stream.CROP_TOP), self.crop_size[::-1], (spec.width, spec.height))
            ):
                crops[:, axis, 2] = np.floor(uniform(keys, stream) * (length - size + 1))
        elif self.crop_area is not None:
            area = uniform(keys, Stream.CROP_AREA, *self.crop_area) * spec.height * spec.width
            aspect = np.exp(uniform(keys, Stream.CROP_ASPECT, *np.log(ASPECTS)))
            widths, heights = np.sqrt(area * aspect), np.sqrt(area / aspect)
            # A crop that is too wide or too high keeps its area, as far as the image allows.
            wide, high = widths > spec.width, heights > spec.height
            widths, heights = (
                np.where(high, np.minimum(area / spec.height, spec.width), np.minimum(widths, spec.width)),
                np.where(wide, np.minimum(area / spec.width, spec.height), np.minimum(heights, spec.height)),
            )
            for axis, (stream, sizes, length) in enumerate(
                ((Stream.CROP_LEFT, widths, spec.width), (Stream.CROP_TOP, heights, spec.height))
            ):
                scale = sizes / length
                crops[:, axis, axis] = scale
                crops[:, axis, 2] = uniform(keys, stream) * (length - sizes) + scale / 2 - 0.5
        return crops

    def apply(self, image: np.ndarray, drawn: np.ndarray, spec: ImageSpec) -> np.ndarray:
        return self.moved(image, drawn, spec, self.interpolation, self.fill_value)

    def moved_mask(self, mask: np.ndarray, drawn: np.ndarray, spec: ImageSpec) -> np.ndarray:
        """Map a mask like its image. Its values stay those of a class: outside the image, that is 0 or a neighbor."""
        return self.moved(mask, drawn, spec, "nearest", 0)

    def moved(
        self, image: np.ndarray, matrix: np.ndarray, spec: ImageSpec, interpolation: Interpolation, fill_value: float
    ) -> np.ndarray:
        """Map an image by a drawn matrix. Flips and whole pixels are copied, without interpolation."""
        height, width = self.size(spec)
        if self._only_copies:
            top, left = (_start(matrix[axis, axis], matrix[axis, 2], size) for axis, size in ((1, height), (0, width)))
            part = image[top : top + height, left : left + width]
            return _flipped(part, matrix[1, 1] < 0, matrix[0, 0] < 0)
        return warped(image, matrix, height, width, self.fill_mode, fill_value, interpolation)

    @property
    def _only_copies(self) -> bool:
        return self.rotation == self.zoom == self.translation == self.shear == (0, 0) and self.crop_area is None


def _identities(count: int) -> np.ndarray:
    return np.broadcast_to(np.eye(3), (count, 3, 3)).copy()


def _start(direction: float, offset: float, size: int) -> int:
    """Return the first row or column of a part whose result is copied in this direction."""
    return int(offset) if direction > 0 else int(offset) - size + 1


def _flipped(image: np.ndarray, vertical: bool, horizontal: bool) -> np.ndarray:
    if not (vertical or horizontal):
        return image
    if codecs.cv2 is None or image.dtype not in WARPED_DTYPES or image.shape[2] > 4:
        return image[:: -1 if vertical else 1, :: -1 if horizontal else 1].copy()
    return codecs.cv2.flip(image, -1 if vertical and horizontal else int(horizontal)).reshape(image.shape)
