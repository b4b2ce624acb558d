"""Images per second from a folder: keras_oocore against other loaders.

    python benchmarks/images.py PHOTOS --image-size 224
    python benchmarks/images.py PLANT_SEEDLINGS --image-size 80
    python benchmarks/images.py PHOTOS --image-size 224 --enlarge 60

`--enlarge N` first writes N of the images as JPEGs of 3000 by 2250. Torch workers are 2 processes; every other loader
has its default number of threads. Needs tensorflow, torch, grain and the extra `fast`.
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
from in_turn import OURS, measure
from PIL import Image

import keras_oocore as ko

BATCH_SIZE = 32


class PlainPyDataset(keras.utils.PyDataset):
    """The Sequence of countless tutorials: Pillow opens and resizes each image of a batch."""

    def __init__(self, paths, image_size):
        super().__init__()
        self.paths, self.image_size = paths, image_size

    def __len__(self):
        return -(-len(self.paths) // BATCH_SIZE)

    def __getitem__(self, index):
        return np.stack([opened(path, self.image_size) for path in self.paths[index * BATCH_SIZE :][:BATCH_SIZE]])


class TorchDataset(torch.utils.data.Dataset):
    """The same for torch's DataLoader."""

    def __init__(self, paths, image_size):
        self.paths, self.image_size = paths, image_size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return torch.from_numpy(opened(self.paths[index], self.image_size))


def opened(path, image_size):
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize((image_size, image_size), Image.Resampling.BILINEAR))


def enlarged(source, number, folder):
    for path in sorted(path for path in Path(source).rglob("*") if path.is_file())[:number]:
        Image.open(path).convert("RGB").resize((3000, 2250)).save(Path(folder) / f"{path.stem}.jpg", quality=90)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--enlarge", type=int, default=0, metavar="N")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without", nargs="*", default=[], help="contestants to leave out")
    parser.add_argument("--save", metavar="FILE", help="also write the rates of all runs to this JSON file")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        directory = enlarged(options.directory, options.enlarge, folder) if options.enlarge else options.directory
        size = (options.image_size, options.image_size)
        ours = ko.ImageFolderSequence(directory, labels=None, image_size=size, batch_size=BATCH_SIZE, seed=0)
        paths = ours.file_paths
        repeats = max(1, 1000 // len(paths))  # a run of about 1,000 images

        def repeated(batches):
            return lambda: sum(len(batch) for _ in range(repeats) for batch in batches)

        def ours_repeated():
            with ours:  # closed after each run: nothing is made ahead while the others have their turn
                return repeated(ours)()

        read = dict(labels=None, image_size=size, batch_size=BATCH_SIZE, seed=0, verbose=False)
        loader = torch.utils.data.DataLoader(TorchDataset(paths, size[0]), BATCH_SIZE, shuffle=True, num_workers=2)
        contestants = {
            OURS: ours_repeated,
            "image_dataset_from_directory": repeated(keras.utils.image_dataset_from_directory(directory, **read)),
            "plain PyDataset, Pillow": repeated(PlainPyDataset(paths, size[0])),
            "torch DataLoader, 2 workers": repeated(loader),
            "Grain through Keras": repeated(
                keras.utils.image_dataset_from_directory(directory, format="grain", **read)
            ),
        }
        print(f"{len(paths)} images of {directory} to {size[0]}x{size[1]}, batches of {BATCH_SIZE}")
        chosen = {name: work for name, work in contestants.items() if name not in options.without}
        measure(chosen, options.runs, "images", save=options.save)


if __name__ == "__main__":
    main()
