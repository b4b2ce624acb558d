"""Several calls of `fit` as one training: what a user calls."""

from keras_oocore.training.partitions import fit_partitions
from keras_oocore.training.phases import Phase, fit_phases
from keras_oocore.training.resumable import fit_resumable

__all__ = ["Phase", "fit_partitions", "fit_phases", "fit_resumable"]
