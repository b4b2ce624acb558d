"""MixUp and CutMix: mixes each image of a batch, and its label, with its neighbor."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_oocore.augmentation.draws import Stream, stream_keys, uniform
from keras_oocore.augmentation.masks import Boxes, is_mask, mixed_masks
from keras_oocore.augmentation.operation import ImageSpec, rounded
from keras_oocore.batches.keyed_generator import KeyedGenerator
from keras_oocore.core.errors import OptionError


@dataclass(frozen=True)
class Mixing:
    """Mixes rows 2k and 2k + 1 of a batch, both ways. Batches are shuffled, so a neighbor is a random sample.

    Processes that share a batch have whole pairs, so that their images are those of one process. The last row of an odd
    batch has no neighbor and does not change, also if copies of other rows follow that fill the batch of a process.

    Sources: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018. Yun et al., "CutMix", 2019.

    Attributes:
        mixup, cutmix: Both parameters of the beta distribution that the share of the other image is drawn from. 0 for
            never. With both, each image draws which one.
    """

    mixup: float
    cutmix: float

    def apply(
        self, x: np.ndarray, y: Any, keys: np.ndarray, spec: ImageSpec, num_real: int | None = None
    ) -> tuple[np.ndarray, Any]:
        """Return images and labels. `x` is overwritten. The rows after the first `num_real` are copies."""
        kept = np.ones(len(x))  # share of the own image
        cuts = uniform(keys, Stream.MIX) < 0.5 if self.mixup and self.cutmix else np.full(len(x), bool(self.cutmix))
        shares = self._shares(keys, cuts)
        boxes = _boxes(keys, shares, spec)
        for first in range(0, len(x) - 1, 2):
            if first + 1 == num_real:
                continue
            pair = x[first : first + 2].copy()
            for row, own, other in ((first, pair[0], pair[1]), (first + 1, pair[1], pair[0])):
                if cuts[row]:
                    top, left, height, width = boxes[row]
                    x[row, top : top + height, left : left + width] = other[top : top + height, left : left + width]
                    kept[row] = 1 - height * width / (spec.height * spec.width)
                else:
                    share = np.float32(shares[row])
                    x[row] = rounded(own * share + other * (1 - share), x.dtype, spec)
                    kept[row] = shares[row]
        parts = [box if cut else None for box, cut in zip(boxes, cuts.tolist())]
        return x, _mixed_labels(y, kept, parts, spec)

    def _shares(self, keys: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        """Draw the share of the own image, per row."""
        generator = KeyedGenerator()
        alphas = np.where(cuts, self.cutmix, self.mixup).tolist()
        return np.array(
            [generator.at(key).beta(alpha, alpha) for key, alpha in zip(stream_keys(keys, Stream.MIX_SHARE), alphas)]
        )


def _boxes(keys: np.ndarray, shares: np.ndarray, spec: ImageSpec) -> list[list[int]]:
    """Return a rectangle per image with the share of the other image: top, left, height and width."""
    side = np.sqrt(1 - shares)
    heights, widths = np.rint(side * spec.height), np.rint(side * spec.width)
    tops = np.floor(uniform(keys, Stream.CUT_TOP) * (spec.height - heights + 1))
    lefts = np.floor(uniform(keys, Stream.CUT_LEFT) * (spec.width - widths + 1))
    return np.stack([tops, lefts, heights, widths], axis=1).astype(int).tolist()


def _mixed_labels(y: Any, kept: np.ndarray, boxes: Boxes, spec: ImageSpec) -> Any:
    """Mix labels, and masks, with those of their neighbors.

    Raises:
        OptionError: If they cannot be mixed.
    """
    if isinstance(y, dict):
        return {name: _mixed_labels(values, kept, boxes, spec) for name, values in y.items()}
    if isinstance(y, tuple):
        return tuple(_mixed_labels(values, kept, boxes, spec) for values in y)
    if is_mask(y, spec.height, spec.width):
        return mixed_masks(y, boxes, kept)
    if y is None or not np.issubdtype(y.dtype, np.floating):
        received = "no labels" if y is None else f"labels of dtype {y.dtype}"
        raise OptionError(
            '`mixup` and `cutmix` mix labels, too, and require probabilities: pass label_mode="categorical" to the '
            f'Sequence, and use loss="categorical_crossentropy". Received: {received}'
        )
    own = kept.reshape(-1, *(1,) * (y.ndim - 1))
    other = np.arange(len(y)) ^ 1
    other[other >= len(y)] = len(y) - 1  # of the last row of an odd batch, which is its own neighbor
    return (own * y + (1 - own) * y[other]).astype(y.dtype)
