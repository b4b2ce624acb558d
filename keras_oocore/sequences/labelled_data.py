"""The samples of a Sequence, with labels, weights and how often each is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.sources.base import Source
from keras_oocore.sources.labelled import Labelled
from keras_oocore.sources.layout import has_answer


@dataclass(frozen=True)
class LabelledData:
    """The samples of a Sequence, with labels and weights.

    Attributes:
        source: The samples, without labels.
        labels: The labels of all samples.
        manifest: The files of the samples, or `None` for rows of an array.
        sample_weight: Weights, `float32` of shape `(num_samples,)`, or `None`.
        class_weight: Weights of classes, `"balanced"`, or `None`.
        sampling: How often each sample is drawn, or `None` for once per epoch.

    Raises:
        OptionError: If labels and weights cannot be combined.
    """

    source: Source
    labels: Labels
    manifest: Manifest | None
    sample_weight: np.ndarray | None
    class_weight: Mapping[int, float] | Literal["balanced"] | None
    sampling: Sampling | None

    def select(self, samples: np.ndarray) -> "LabelledData":
        """Return only the data of these samples."""
        return replace(
            self,
            source=self.source.select(samples),
            labels=self.labels.select(samples),
            manifest=None if self.manifest is None else self.manifest.take(samples),
            sample_weight=None if self.sample_weight is None else self.sample_weight[samples],
            sampling=None if self.sampling is None else self.sampling.select(samples),
        )

    @property
    def reads_answer(self) -> bool:
        """Whether the answer `y` is read with each sample."""
        return has_answer(self.source.spec)

    @property
    def has_y(self) -> bool:
        """Whether batches have an answer `y`, before `transform`."""
        return self.reads_answer or self.labels.label_mode is not None

    def labelled(self) -> Labelled:
        """Return the source with labels and weights."""
        labels, weight = self.labels, self.sample_weight
        if self.reads_answer and labels.label_mode is not None:
            raise OptionError(
                "The samples contain their answer `y`, such as the `reader` returns it, so labels would be a second "
                f"one. Pass labels=None. Received: labels of {len(self.source):,} samples"
            )
        if weight is not None and self.class_weight is not None:
            raise OptionError(
                "`sample_weight` and `class_weight` cannot both be given. Multiply them into `sample_weight`."
            )
        if self.sampling is not None and self.class_weight == "balanced":
            raise OptionError(
                "`class_weight` and `sampling` would both correct the classes. Pass one of them. Received: "
                'class_weight="balanced"'
            )
        if self.class_weight is not None:
            weight = labels.class_weights(self.class_weight)
        elif weight is not None and not self.has_y:
            raise OptionError("`sample_weight` requires labels. Received: no labels")
        return Labelled(self.source, labels, weight)
