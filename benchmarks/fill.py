"""Images per second while a cache fills, and from a full cache: against an epoch without a cache, and other loaders.

    python benchmarks/fill.py PHOTOS

The photos are copied into a temporary folder until there are at least `--images`. Each turn opens a Sequence with an
empty cache and is timed until the last batch, or until a thread has written the checksums and the store is finished.
"no cache" opens a Sequence, too. Everything is on disk before the next turn. Later epochs are ten in a row.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from in_turn import measure, report

import keras_oocore as ko
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS

IMAGE_SIZE, BATCH_SIZE, LATER_EPOCHS = (224, 224), 32, 10
NO_CACHE, LATER = "no cache", "later epoch"


def repeated(photos, num_images, folder):
    """At least so many images in `folder`, copies of the photos."""
    photos = sorted(path for path in Path(photos).rglob("*") if path.suffix.lower() in IMAGE_EXTENSIONS)
    for number in range(-(-num_images // len(photos)) * len(photos)):
        photo = photos[number % len(photos)]
        shutil.copy(photo, Path(folder) / f"{number:06d}{photo.suffix}")


class Epoch:
    """One epoch of a Sequence that is opened for it; with a directory, one that fills an empty cache there."""

    def __init__(self, images, cache=None):
        self.images, self.cache, self.batches = images, cache, None

    def to_last_batch(self):
        self.batches = opened(self.images, self.cache)
        return sum(map(len, self.batches))

    def to_finished_store(self):
        num_images = self.to_last_batch()
        self.batches._cached.finish()
        return num_images

    def tidy(self):
        """Leave nothing to do in the next one's turn."""
        if self.batches is not None:
            self.batches.close()  # waits for the thread that finishes the store
            self.batches = None
        if self.cache is not None:
            shutil.rmtree(self.cache, ignore_errors=True)
            os.sync()


def opened(images, cache=None):
    return ko.ImageFolderSequence(
        images, labels=None, image_size=IMAGE_SIZE, batch_size=BATCH_SIZE, seed=0, cache=cache
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        images = folder / "images"
        images.mkdir()
        repeated(options.photos, options.images, images)
        plain, filling = Epoch(images), Epoch(images, folder / "filling")
        from_cache = opened(images, folder / "filled")
        from_cache.pack(folder / "filled")
        tf_data = keras.utils.image_dataset_from_directory(
            images, labels=None, image_size=IMAGE_SIZE, batch_size=BATCH_SIZE, seed=0, verbose=False
        )

        def later_epochs():
            with from_cache:
                return sum(len(batch) for _ in range(LATER_EPOCHS) for batch in from_cache)

        def tidy():
            plain.tidy()
            filling.tidy()

        contestants = {
            NO_CACHE: plain.to_last_batch,
            "filling, to last batch": filling.to_last_batch,
            "filling, to finished store": filling.to_finished_store,
            LATER: later_epochs,
            "image_dataset_from_directory": lambda: sum(map(len, tf_data)),
        }
        print(f"{from_cache.num_samples:,} images to {IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}, batches of {BATCH_SIZE}")
        rates = measure(contestants, options.runs, "images", NO_CACHE, before=tidy)
        report(rates, "images", LATER)


if __name__ == "__main__":
    main()
