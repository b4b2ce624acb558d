"""Converts the arguments of a Sequence of images with masks, and refuses those that have no meaning for masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.images.mask import MaskReader
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.inputs import as_class_names
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.mask_files import mask_files
from keras_oocore.sources.masks import ImagesWithMasks


@dataclass(frozen=True)
class MaskOptions:
    """The arguments about masks.

    Attributes:
        masks: A directory, a `Manifest`, or file names.
        num_classes, ignore_class: Those of `MaskReader`.
        class_names: Names of the values of the masks, or `None`.
    """

    masks: Any
    num_classes: int | None
    ignore_class: int | None
    class_names: list[str] | None

    @classmethod
    def of(
        cls,
        masks: Any,
        num_classes: int | None,
        ignore_class: int | None,
        class_names: Sequence[str] | None,
        labels: Any,
        label_mode: str | None,
        shared: Mapping[str, Any],
    ) -> "MaskOptions | None":
        """Return what the arguments of a user say about masks, or `None` if there are none.

        Raises:
            OptionError: If an argument has no meaning for masks.
        """
        if masks is None:
            for name, value in (("num_classes", num_classes), ("ignore_class", ignore_class)):
                if value is not None:
                    raise OptionError(
                        f'`{name}` requires masks: masks="DIRECTORY". Received: masks=None, {name}={value!r}'
                    )
            return None
        _refuse_labels(labels, label_mode, shared)
        names = as_class_names(class_names)
        if names is not None and num_classes is None:
            num_classes = len(names)
        if names is not None and len(names) != num_classes:
            raise OptionError(
                f"`class_names` should have one name per class. Received: {len(names)} names and {num_classes=}"
            )
        return cls(masks, num_classes, ignore_class, names)

    def source(
        self, manifest: Manifest, reader: ImageReader, retries: int, is_whole: bool, follow_links: bool
    ) -> ImagesWithMasks:
        """Return images with their masks. Other arguments are those of `mask_files`."""
        masks = mask_files(manifest, self.masks, is_whole, follow_links)
        return ImagesWithMasks(
            manifest, masks, reader, MaskReader(reader, self.num_classes, self.ignore_class), retries
        )

    def named(self, images: Manifest) -> Manifest:
        """Return the images with the names of the classes of masks, and without labels."""
        return Manifest(
            images.filenames,
            None,
            self.class_names,
            images.current_directory,
            images.skipped,
            images.columns,
            images.indices,
        )


def _refuse_labels(labels: Any, label_mode: str | None, shared: Mapping[str, Any]) -> None:
    if labels is not None and not (isinstance(labels, str) and labels == "inferred"):
        raise OptionError(
            "`masks` are the labels, y of each batch. Leave out `labels`, or return both from a `reader` of "
            f"ko.NpyManifestSequence. Received: labels={shown(labels)}"
        )
    if label_mode != "int":
        raise OptionError(
            "Masks are uint8 numbers of classes, of shape (batch, height, width, 1), so `label_mode` has no meaning. "
            "For one-hot masks: transform=lambda x, y, rng: (x, np.eye(NUM_CLASSES, dtype='float32')[y[..., 0]]). "
            f"Received: label_mode={label_mode!r}"
        )
    if shared["class_weight"] is not None:
        raise OptionError(
            "`class_weight` weighs samples by their class, and a mask has a class per pixel. Use `sample_weight` for "
            "samples, or for pixels a loss that weighs classes, such as keras.losses.CategoricalFocalCrossentropy. "
            f"Received: class_weight={shown(shared['class_weight'])}"
        )
    if isinstance(shared["sampling"], str):
        raise OptionError(
            "Samples with masks have no class that could be balanced. Pass one weight per sample, such as the share of "
            f"the pixels of a rare class: sampling=weights. Received: sampling={shown(shared['sampling'])}"
        )
