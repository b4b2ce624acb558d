"""JAX on several machines, run here as two processes of one: start this script once per machine. Backend: jax.

python examples/make_digits.py
KERAS_BACKEND=jax python examples/jax_hosts.py 10.0.0.1:1234 2 0     # on the first machine, which is 10.0.0.1
KERAS_BACKEND=jax python examples/jax_hosts.py 10.0.0.1:1234 2 1     # on the second one
"""

import sys
from pathlib import Path

import keras

import keras_oocore as ko

FOLDER = Path.cwd()


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255)])
    model.add(keras.layers.Conv2D(16, 3, activation="relu"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main():
    address, num_processes, process_id = sys.argv[1:]
    keras.distribution.initialize(address, int(num_processes), int(process_id))
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    options = dict(image_size=(8, 8), color_mode="grayscale", batch_size=64)
    train = ko.ImageFolderSequence(FOLDER / "digits" / "train", seed=0, **options)
    val = ko.ImageFolderSequence(FOLDER / "digits" / "val", shuffle=False, **options)
    train = train.shard()
    model = build()
    ko.fit_resumable(model, train, 5, FOLDER / "checkpoints", validation_data=val, save_every_batches=10, verbose=2)


if __name__ == "__main__":
    main()
