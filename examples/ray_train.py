"""Ray Train starts the processes, run here on one machine, and all of them again if one is lost. Backend: torch.

python examples/make_digits.py
KERAS_BACKEND=torch python examples/ray_train.py
"""

from pathlib import Path

import keras
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from torch.distributed import all_reduce, get_world_size

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


def average(parameter):
    all_reduce(parameter.grad.div_(get_world_size()))


def main():
    options = dict(image_size=(8, 8), color_mode="grayscale", batch_size=64)
    train = ko.ImageFolderSequence(FOLDER / "digits" / "train", seed=0, **options)
    val = ko.ImageFolderSequence(FOLDER / "digits" / "val", shuffle=False, **options)
    train = train.shard(gradients_averaged=True)
    model = build()
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(average)
    ko.fit_resumable(model, train, 5, FOLDER / "checkpoints", validation_data=val, save_every_batches=10, verbose=2)


if __name__ == "__main__":
    restarts = RunConfig(failure_config=FailureConfig(max_failures=3))
    TorchTrainer(main, scaling_config=ScalingConfig(num_workers=2), run_config=restarts).fit()
