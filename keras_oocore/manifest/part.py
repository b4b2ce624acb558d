"""The paths of some samples under their numbers, which a task takes to a worker process instead of the manifest."""

import numpy as np

from keras_oocore.core.storage import as_opened, working_directory
from keras_oocore.manifest.manifest import Manifest


class ManifestPart:
    """The paths of some samples of a manifest, and nothing else of it.

    Args:
        manifest: The manifest.
        samples: Numbers of the samples, which they keep.

    >>> part = ManifestPart(Manifest.from_arrays(["a.png", "b.png", "c.png"], directory="photos"), np.array([2, 0]))
    >>> part.path(2), part.paths(np.array([0, 2]))
    ('photos/c.png', ['photos/a.png', 'photos/c.png'])
    """

    def __init__(self, manifest: Manifest, samples: np.ndarray):
        self._paths: dict[int, str] = dict(zip(samples.tolist(), manifest.paths(samples)))
        self._opened_in = working_directory()  # a worker may have another one

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, i: int) -> str:
        """Return the path of sample `i`, as in the process that made this."""
        return as_opened(self._paths[i], self._opened_in)

    def paths(self, samples: np.ndarray) -> list[str]:
        """Return the paths of several samples."""
        return [self.path(i) for i in samples.tolist()]
