"""Writes the data of the other scripts: 1,792 images of digits, as PNG files in class folders.

python examples/make_digits.py
"""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main():
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:1792], digits.target)):
        path = Path("digits", "train" if number < 1536 else "val", str(label), f"{number:04d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(pixels * 255 / 16)).save(path)


if __name__ == "__main__":
    main()
