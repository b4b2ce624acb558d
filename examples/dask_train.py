"""Dask runs a process of the training on each worker, here of one machine. Run it again after a loss. Backend: torch.

python examples/make_digits.py
KERAS_BACKEND=torch python examples/dask_train.py
"""

from pathlib import Path

import keras
from dask.distributed import Client
from torch.distributed import all_reduce, init_process_group

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


def main(rank, hosts):
    init_process_group("gloo", f"{hosts[0].rpartition(':')[0]}:29500", rank=rank, world_size=len(hosts))
    options = dict(image_size=(8, 8), color_mode="grayscale", batch_size=64)
    train = ko.ImageFolderSequence(FOLDER / "digits" / "train", seed=0, **options)
    val = ko.ImageFolderSequence(FOLDER / "digits" / "val", shuffle=False, **options)
    train = train.shard(gradients_averaged=True)
    model = build()
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: all_reduce(p.grad.div_(len(hosts))))
    ko.fit_resumable(model, train, 5, FOLDER / "checkpoints", validation_data=val, save_every_batches=10, verbose=2)


if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, scheduler_kwargs={"allowed_failures": 0}) as client:
        hosts = list(client.scheduler_info()["workers"])
        client.gather([client.submit(main, rank, hosts, workers=host, pure=False) for rank, host in enumerate(hosts)])
