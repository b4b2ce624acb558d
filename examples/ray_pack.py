"""Ray reads the images of a packed store on all its machines. A task whose process was lost runs again.

python examples/make_digits.py
python examples/ray_pack.py
"""

from concurrent.futures import Executor
from pathlib import Path

import ray

import keras_oocore as ko


class RayExecutor(Executor):
    def submit(self, function, /, *args, **kwargs):
        return ray.remote(max_retries=3)(function).remote(*args, **kwargs).future()


if __name__ == "__main__":
    images = ko.ImageFolderSequence(Path.cwd() / "digits" / "train", image_size=(32, 32))
    images.pack(Path.cwd() / "packed", executor=RayExecutor())
