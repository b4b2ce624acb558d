"""Dask reads the images of a packed store on all its workers. A task whose worker was lost runs again.

python examples/make_digits.py
python examples/dask_pack.py
"""

from pathlib import Path

from dask.distributed import Client

import keras_oocore as ko

if __name__ == "__main__":
    images = ko.ImageFolderSequence(Path.cwd() / "digits" / "train", image_size=(32, 32))
    with Client(n_workers=2, threads_per_worker=1) as client:
        images.pack(Path.cwd() / "packed", executor=client.get_executor(retries=3))
