"""`augment`: random changes of images, drawn by seed, epoch and sample."""

import copy
import inspect
from typing import Any

import numpy as np

from keras_oocore.augmentation.color import Color
from keras_oocore.augmentation.factors import (
    Factor,
    at_least_zero,
    contrast_factors,
    crop_factors,
    from_zero,
    number,
    probability,
    range_of_values,
    symmetric,
)
from keras_oocore.augmentation.geometry import FLIPS, Flip, Geometry
from keras_oocore.augmentation.masks import moved_masks
from keras_oocore.augmentation.mixing import Mixing
from keras_oocore.augmentation.operation import ImageSpec, Operation
from keras_oocore.augmentation.texture import Blur, Erase, Noise
from keras_oocore.augmentation.warp import FILL_MODES, INTERPOLATIONS, FillMode, Interpolation
from keras_oocore.batches.transform import BatchSpec, Draws, Transform
from keras_oocore.core.checks import choice
from keras_oocore.core.errors import OptionError
from keras_oocore.core.keywords import answers

USES_RANGE = ("brightness", "contrast", "saturation", "hue", "noise", "erase")
DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))


WORDS = {  # of ImageDataGenerator and others
    "horizontal_flip": 'Use flip="horizontal".',
    "vertical_flip": 'Use flip="vertical".',
    "rotation_range": "Use `rotation`, in full turns: rotation=20/360 is up to 20 degrees.",
    "zoom_range": "zoom",
    "width_shift_range": "Use `translation`, a tuple for height and width.",
    "height_shift_range": "Use `translation`, a tuple for height and width.",
    "shear_range": "shear",
    "brightness_range": "Use `brightness`, the largest change: brightness=0.2.",
    "channel_shift_range": "hue",
    "random_crop": "crop",
    "cval": "fill_value",
    "rescale": "Divide by 255 in the model: keras.layers.Rescaling(1 / 255).",
    "seed": "It is an argument of the Sequence.",
}


@answers(WORDS)
def augment(
    *,
    flip: Flip | None = None,
    rotation: Factor = 0.0,
    zoom: Factor = 0.0,
    translation: Factor = 0.0,
    shear: Factor = 0.0,
    crop: float | tuple[float, float] | tuple[int, int] | None = None,
    brightness: Factor = 0.0,
    contrast: Factor = 0.0,
    saturation: Factor | None = None,
    hue: Factor = 0.0,
    grayscale: float = 0.0,
    blur: float = 0.0,
    noise: float = 0.0,
    erase: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    fill_mode: FillMode = "reflect",
    fill_value: float = 0.0,
    interpolation: Interpolation = "bilinear",
    value_range: tuple[float, float] | None = None,
) -> Transform:
    """Make a `transform` for a Sequence that changes images at random.

    The changes of an image depend on `seed` of the Sequence, the epoch and the image. They are the same for any number
    of workers, batch size, backend, partition or process, and after a training resumes. Factors have the words and
    values of the layers of Keras. The order of the operations is that of the arguments. All operations of geometry are
    one warp, and all operations of color are one matrix whose result is clipped once.

    A factor `f` stands for the range from `-f` to `f`, and a tuple for its two ends, unless said otherwise.

    The loader's threads change `uint8` images with OpenCV 5 if it is installed (`pip install
    keras-oocore[fast]`), else with Pillow and NumPy. Results differ by at most one level per operation.

    Args:
        flip: `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`. Each is drawn for half of the images.
        rotation: In full turns, as in `keras.layers.RandomRotation`. 0.05 is up to 18 degrees in both directions.
        zoom: Positive values zoom out, negative ones in, as in `keras.layers.RandomZoom`.
        translation: As a share of height and width, as in `keras.layers.RandomTranslation`.
        shear: How far a pixel moves as a share of its distance from the center, horizontally and vertically.
        crop: Two integers are the height and width of a part of the image, which is the result, as in
            `keras.layers.RandomCrop`. A number is the smallest area of a part, as a share of the image, which is
            resized to the size of the image. A tuple is the smallest and the largest area. The aspect ratio of the
            part is from 3:4 to 4:3.
        brightness: As a share of the range of values, as in `keras.layers.RandomBrightness`.
        contrast: Change of the factor of the distance to the mean, as in `keras.layers.RandomContrast`: a tuple
            `(lower, upper)` is the range from `1 - lower` to `1 + upper`.
        saturation: As in `keras.layers.RandomSaturation`: 0 is gray, 0.5 no change, and 1 the most. A single number is
            the range from 0 to it. `(0.4, 0.6)` is a moderate range.
        hue: As in `keras.layers.RandomHue`: the largest change, where 1 is half of the color circle. A tuple is the
            smallest and the largest change. Both directions are drawn.
        grayscale: Probability that an image becomes gray, as in `keras.layers.RandomGrayscale`.
        blur: Probability of a Gaussian blur. Its standard deviation is from 0.1 to 2 pixels.
        noise: Standard deviation of normal noise, as a share of the range of values.
        erase: Probability that a rectangle of 2 % to 33 % of the image is filled with random values.
        mixup: MixUp of each image with its neighbor in the batch: both parameters of the beta distribution that the
            share is drawn from, as `alpha` in `keras.layers.MixUp`. Requires `label_mode="categorical"`. The neighbor,
            and so the bytes, depend on `batch_size`.
        cutmix: CutMix, with the same arguments as `mixup`. If both are given, each image draws one of them.
        fill_mode: What is outside the image: `"reflect"`, `"constant"`, `"nearest"` or `"wrap"`.
        fill_value: Value outside the image, with `fill_mode="constant"`.
        interpolation: `"bilinear"` or `"nearest"`.
        value_range: Range of the values. By default, 0 to 255, times `rescale` of the Sequence.

    Returns:
        An object for the argument `transform`. For several transforms, pass a list.

    Raises:
        OptionError: If a factor is not valid. By the Sequence: if the samples are not images of `uint8` or `float32`.

    >>> import keras_oocore as ko
    >>> images = np.arange(2 * 8 * 8 * 3, dtype="uint8").reshape(2, 8, 8, 3)
    >>> changes = ko.augment(flip="horizontal", rotation=0.05, brightness=0.2)
    >>> sequence = ko.ArraySequence(images, labels=None, batch_size=2, transform=changes, seed=0)
    >>> sequence[0].shape, sequence[0].dtype
    ((2, 8, 8, 3), dtype('uint8'))
    """
    return Augment(**locals())


class Augment(Transform):
    """Random changes of images. Arguments are those of `augment`."""

    of_images = True

    def __init__(self, **given: Any):
        defaults = inspect.unwrap(augment).__kwdefaults__
        self._given = {name: value for name, value in given.items() if value != defaults[name]}
        choice(given["flip"], "flip", (None, *FLIPS))
        choice(given["fill_mode"], "fill_mode", FILL_MODES)
        choice(given["interpolation"], "interpolation", INTERPOLATIONS)
        self._value_range = range_of_values(given["value_range"])
        crop_area, crop_size = crop_factors(given["crop"])
        self._geometry = Geometry(
            given["flip"],
            *(symmetric(name, given[name], -1, 1) for name in ("rotation", "zoom", "translation", "shear")),
            crop_area,
            crop_size,
            given["fill_mode"],
            number("fill_value", given["fill_value"]),
            given["interpolation"],
        )
        self._color = Color(
            symmetric("brightness", given["brightness"], -1, 1),
            contrast_factors(given["contrast"]),
            (0.5, 0.5) if given["saturation"] is None else from_zero("saturation", given["saturation"]),
            from_zero("hue", given["hue"]),
            probability("grayscale", given["grayscale"]),
        )
        alphas = [at_least_zero(name, given[name]) for name in ("mixup", "cutmix")]
        self._mixing = Mixing(*alphas) if any(alphas) else None
        others = (
            (Blur, probability("blur", given["blur"])),
            (Noise, at_least_zero("noise", given["noise"])),
            (Erase, probability("erase", given["erase"])),
        )
        self._operations: list[Operation] = [made for made in (self._geometry, self._color) if made != type(made)()]
        self._operations += [kind(value) for kind, value in others if value]
        self.mixes: bool = self._mixing is not None
        self._spec: ImageSpec | None = None
        self._channels_first = False

    def __repr__(self) -> str:
        return f"augment({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"

    def for_batches(self, spec: BatchSpec) -> "Augment":
        if len(spec.shape) != 3 or spec.dtype not in DTYPES:
            raise OptionError(
                "`ko.augment` requires images of shape (height, width, channels), as uint8 or float32. For images of "
                f'another dtype, pass dtype="float32" to the Sequence. Received: samples of shape {spec.shape} and '
                f"dtype {spec.dtype}"
            )
        fitted = copy.copy(self)
        fitted._spec = ImageSpec(*spec.shape, *self._values(spec))
        fitted._channels_first = spec.channels_first
        fitted._check(spec)
        return fitted

    def _values(self, spec: BatchSpec) -> tuple[float, float]:
        """Return the range of the values of images."""
        given = self._value_range
        if spec.dtype == np.uint8 and given not in (None, (0, 255)):
            raise OptionError(f"The values of uint8 images are from 0 to 255. Received: value_range={given}")
        if given is None and spec.value_range is None and not self._given.keys().isdisjoint(USES_RANGE):
            raise OptionError(
                "The files or arrays do not have uint8 values, so the range of values is not known. Pass it to "
                "`ko.augment`, for example value_range=(0, 1)."
            )
        return given or spec.value_range or (-np.inf, np.inf)

    def _check(self, spec: BatchSpec) -> None:
        height, width, channels = spec.shape
        size = self._geometry.crop_size
        if size is not None and (size[0] > height or size[1] > width):
            raise OptionError(
                f"`crop` is larger than the images, whose height and width are {(height, width)}. Received: crop={size}"
            )
        of_colors = [name for name in ("saturation", "hue", "grayscale") if name in self._given]
        if of_colors and channels not in (3, 4):
            raise OptionError(f"`{of_colors[0]}` requires RGB images. Received: images of {channels} channels")
        if self._mixing is not None and spec.is_shard and spec.batch_size % 2:
            raise OptionError(
                "`mixup` and `cutmix` require an even number of images per batch and process. Received: "
                f"{spec.batch_size} images of each batch per process"
            )

    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        images = np.moveaxis(x, 1, -1) if self._channels_first else x
        _, height, width, channels = images.shape  # an earlier transform of a list may have changed it
        keys, spec = draws.keys(), self._spec._replace(height=height, width=width, channels=channels)
        size = self._geometry.size(spec)
        result = images if size == images.shape[1:3] else np.empty((len(images), *size, spec.channels), images.dtype)
        plan = []
        for operation in self._operations:
            drawn = operation.drawn(keys, spec)
            plan.append((operation, drawn, spec))
            if operation is self._geometry:
                y = moved_masks(y, self._geometry, drawn, spec)
            spec = spec._replace(height=size[0], width=size[1])  # `Geometry` is the first operation
        for row in range(len(images)):
            image = np.ascontiguousarray(images[row])
            for operation, drawn, its_spec in plan:
                if drawn[row] is not None:
                    image = operation.apply(image, drawn[row], its_spec)
            result[row] = image
        if self._mixing is not None:
            its_spec = spec._replace(height=size[0], width=size[1])
            result, y = self._mixing.apply(result, y, keys, its_spec, draws.num_real)
        return (np.ascontiguousarray(np.moveaxis(result, -1, 1)) if self._channels_first else result), y
