"""Which `Transform` the argument `transform` of a user is."""

from keras_oocore.batches.foreign import from_albumentations, from_keras, is_albumentations, is_keras_layer
from keras_oocore.batches.transform import BatchTransform, Chain, Transform, Transforms
from keras_oocore.core.errors import OptionError


def as_transform(given: Transforms) -> Transform | None:
    """Return the transform that a user passed.

    Args:
        given: A function of whole batches, a `Transform`, a layer of Keras, an `albumentations.Compose`, a list of
            them, or `None`.

    Raises:
        OptionError: If it is something else.
    """
    if given is None or isinstance(given, Transform):
        return given
    if isinstance(given, list | tuple):
        return Chain([as_transform(transform) for transform in given])
    if is_albumentations(given):
        return from_albumentations(given)
    if is_keras_layer(given):
        return from_keras(given)
    if not callable(given):
        raise OptionError(f"`transform` should be a function. Received: transform={given!r}")
    return BatchTransform(given)
