"""Draw the pictures of docs/augment_gallery.md from the photos of scikit-learn: `python docs/gallery.py`."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import keras_oocore as ko

FOLDER = Path(__file__).parent / "pictures" / "augment"
HEIGHT, WIDTH, COLUMNS = 112, 150, 6
OPERATIONS = {
    "flip": dict(flip="horizontal"),
    "rotation": dict(rotation=0.1),
    "zoom": dict(zoom=0.3),
    "translation": dict(translation=0.2),
    "shear": dict(shear=0.3),
    "crop": dict(crop=0.2),
    "brightness": dict(brightness=0.4),
    "contrast": dict(contrast=0.7),
    "saturation": dict(saturation=(0.1, 0.8)),
    "hue": dict(hue=0.4),
    "grayscale": dict(grayscale=0.5),
    "blur": dict(blur=1.0),
    "noise": dict(noise=0.1),
    "erase": dict(erase=1.0),
    "mixup": dict(mixup=1.0),
    "cutmix": dict(cutmix=1.0),
    "constant": dict(rotation=0.1, fill_mode="constant"),
    "nearest": dict(rotation=0.1, fill_mode="nearest"),
    "wrap": dict(rotation=0.1, fill_mode="wrap"),
    "together": dict(flip="horizontal", rotation=0.05, zoom=0.15, brightness=0.15, contrast=0.2, saturation=(0.4, 0.6)),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    resize = Image.Resampling.LANCZOS
    photos = [
        np.asarray(Image.fromarray(image).resize((WIDTH, HEIGHT), resize)) for image in load_sample_images().images
    ]
    for name, factors in OPERATIONS.items():
        images = np.stack([photos[row % 2 if name in ("mixup", "cutmix") else row // 3] for row in range(COLUMNS)])
        labels = np.eye(2)[np.arange(COLUMNS) % 2]
        sequence = ko.ArraySequence(
            images, labels, batch_size=COLUMNS, label_mode="raw", shuffle=False, seed=5, transform=ko.augment(**factors)
        )
        row = np.concatenate(
            [np.pad(image, ((0, 0), (0, 4), (0, 0)), constant_values=255) for image in sequence[0][0]], 1
        )
        Image.fromarray(row[:, :-4]).save(FOLDER / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main()
