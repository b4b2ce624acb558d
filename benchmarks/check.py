"""How many copies `ko.check` finds, how many false pairs, and how long it takes, also for tables.

python benchmarks/check.py DIRECTORY               recall per change, and pairs that were not planted
python benchmarks/check.py DIRECTORY --files N     seconds and memory for N files, which are hard links
python benchmarks/check.py DIRECTORY --cache       processor time to fill and check a cache, with and without measures
python benchmarks/check.py --rows N                seconds and memory for a CSV file of N rows and 20 columns
python benchmarks/check.py --hashes 1000000        false pairs and seconds on one core, for random pictures

Each image of DIRECTORY is changed, saved as a JPEG of quality 90, and checked together with all others.
"""

import argparse
import io
import os
import resource
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

import keras_oocore as ko


def crop(left, top, right, bottom):
    def cut(image):
        width, height = image.size
        return image.crop(
            (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
        )

    return cut


def scale(factor):
    return lambda image: image.resize(
        (max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.BILINEAR
    )


def encode(quality):
    def encoded(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return encoded


def brighten(factor):
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


CHANGES = {
    "re-encoded, quality 60": encode(60),
    "re-encoded, quality 30": encode(30),
    "scaled to 75%": scale(0.75),
    "scaled to 50%": scale(0.5),
    "scaled to a square of 224": lambda image: image.resize((224, 224), Image.Resampling.BILINEAR),
    "20% brighter": brighten(1.2),
    "20% darker": brighten(0.8),
    "5% cropped, centered": crop(0.025, 0.025, 0.025, 0.025),
    "3% cropped, centered": crop(0.015, 0.015, 0.015, 0.015),
    "10% cropped, centered": crop(0.05, 0.05, 0.05, 0.05),
    "5% cropped, top left": crop(0.05, 0.05, 0, 0),
    "5% cropped, bottom right": crop(0, 0, 0.05, 0.05),
    "5% cropped, left": crop(0.05, 0, 0, 0),
    "10% cropped, top left": crop(0.1, 0.1, 0, 0),
    "5% cropped, centered, scaled to 75%, 20% darker": lambda image: brighten(0.8)(
        scale(0.75)(crop(0.025, 0.025, 0.025, 0.025)(image))
    ),
    "mirrored": ImageOps.mirror,
    "mirrored, 5% cropped, centered": lambda image: ImageOps.mirror(crop(0.025, 0.025, 0.025, 0.025)(image)),
}


def image_paths(directory):
    paths = sorted(path for path in Path(directory).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not paths:
        raise SystemExit(f"{directory} has no images.")
    return paths


def recall(directory, only):
    paths = image_paths(directory)
    originals = ko.Manifest.from_arrays([os.path.abspath(path) for path in paths], directory=None)
    report = ko.check(originals, mirrored=True)
    print(f"{len(paths):,} images. Copies among them that were not planted:")
    for copies in report.duplicates:
        print(f"  {copies.kind}: {', '.join(os.path.relpath(file, directory) for file in copies.files)}")
    twins = report.groups
    print(f"{'change':50}{'recall':>8}{'false pairs':>13}")
    for name in [name for name in CHANGES if only in name]:
        change = CHANGES[name]
        with tempfile.TemporaryDirectory() as folder:
            files = [*originals.filenames.tolist()]
            for number, path in enumerate(paths):
                with Image.open(path) as image:
                    changed = change(ImageOps.exif_transpose(image).convert("RGB"))
                files.append(f"{folder}/{number}.jpg")
                changed.convert("RGB").save(files[-1], quality=90)
            both = ko.Manifest.from_arrays(files, directory=None)
            groups = ko.check(both, mirrored="mirrored" in name).groups
        first, second = groups[: len(paths)], groups[len(paths) :]
        found, members = np.mean(first == second), defaultdict(set)
        for group, twin in zip(groups.tolist(), [*twins.tolist(), *twins.tolist()]):
            members[group].add(twin)
        false = {group: sorted(of) for group, of in members.items() if len(of) > 1}
        print(f"{name:50}{found:8.3f}{len(false):13}")
        for of in false.values():
            print("  false:", ", ".join(str(paths[int(np.flatnonzero(twins == twin)[0])]) for twin in of))


def many_files(directory, num_files):
    paths = image_paths(directory)
    with tempfile.TemporaryDirectory() as folder:
        for label in range(10):
            Path(folder, str(label)).mkdir()
        for number in range(num_files):
            source = paths[number % len(paths)]
            target = Path(folder, str(number % 10), f"{number:07}{source.suffix}")
            try:
                target.hardlink_to(source)
            except OSError:  # another file system
                paths[number % len(paths)] = Path(folder, f"source{number}{source.suffix}")
                paths[number % len(paths)].write_bytes(source.read_bytes())
                target.hardlink_to(paths[number % len(paths)])
        started = time.perf_counter()
        report = ko.check(folder)
        seconds = time.perf_counter() - started
    speed = f"{num_files / seconds:,.0f} files per second"
    print(f"{num_files:,} files: {seconds:.0f} s, {speed}, {peak_megabytes():.0f} MB at most")
    print(f"{len(report.duplicates):,} groups of copies")


def cached_pictures(directory, image_size, repeats):
    """Fill a cache in one epoch and check it, without and with measures in turn."""
    from keras_oocore.sources.files import FileSamples

    def fill(sequence):
        for _ in sequence:
            pass

    files = ko.Manifest.from_arrays([os.path.abspath(path) for path in image_paths(directory)], directory=None)
    has_images, used = FileSamples.has_images, defaultdict(list)
    for _ in range(repeats):
        for measured in (False, True):
            FileSamples.has_images = has_images if measured else False
            with tempfile.TemporaryDirectory() as folder:
                sequence = ko.ImageFolderSequence(files, image_size=(image_size, image_size), cache=folder)
                for work in (fill, ko.check):
                    started = time.process_time()
                    work(sequence)
                    used[work, measured].append((time.process_time() - started) / len(files) * 1000)
                sequence.close()
    print(f"{len(files):,} images of {image_size}x{image_size}, medians of {repeats}, processor time per image:")
    for work in (fill, ko.check):
        without, measured = np.median(used[work, False]), np.median(used[work, True])
        print(
            f"{work.__name__:6}{without:.3f} ms without measures, {measured:.3f} with: {measured / without:.2f} times"
        )


def random_pictures(num_pictures):
    from keras_oocore.checks.near import near_pairs
    from keras_oocore.images.picture_hash import NUM_COEFFICIENTS

    signatures = np.random.default_rng(0).integers(-127, 128, (num_pictures, NUM_COEFFICIENTS), np.int8)
    started, used = time.perf_counter(), time.process_time()
    pairs, _, _ = near_pairs(signatures)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    print(f"{num_pictures:,} random pictures: {len(pairs)} false pairs, {seconds:.0f} s, {used:.0f} s of one core")
    print(f"{peak_megabytes():.0f} MB at most")


def many_rows(num_rows):
    """Check a table with planted copies against one of a tenth of its rows."""
    rng = np.random.default_rng(0)
    cities, block_rows = np.array([f"city {number}" for number in range(50)]), 100_000
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("train.csv", "test.csv")]
        for path, count in zip(paths, (num_rows, num_rows // 10)):
            with open(path, "w") as file:
                file.write("id," + ",".join(f"x{column}" for column in range(16)) + ",city,grade,price\n")
                for first in range(0, count, block_rows):
                    rows = min(block_rows, count - first)
                    numbers, city = rng.normal(size=(rows, 16)).round(4), rng.choice(cities, rows)
                    grade, price = rng.integers(1, 12, rows), rng.integers(10**5, 10**6, rows)
                    lines = [
                        f"{first + i},{','.join(map(str, numbers[i].tolist()))},{city[i]},{grade[i]},{price[i]}\n"
                        for i in range(rows)
                    ]
                    lines[-1] = lines[0]
                    file.writelines(lines)
        size = paths[0].stat().st_size / 1e6
        before, started, used = peak_megabytes(), time.perf_counter(), time.process_time()
        report = ko.check(paths[0], against=paths[1], target="price")
        seconds, used = time.perf_counter() - started, time.process_time() - used
    total = report.num_rows + report.num_rows_against
    speed = f"{total / seconds:,.0f} rows per second, {total / used:,.0f} per second of one core"
    print(f"{total:,} rows of {size / num_rows * 1e6:.0f} bytes: {seconds:.1f} s, {speed}")
    print(f"{peak_megabytes():.0f} MB at most, {before:.0f} MB before; {len(report.duplicates):,} groups of copies")


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # kB on Linux


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", nargs="?")
    parser.add_argument("--only", default="", help="a part of the names of changes")
    parser.add_argument("--files", type=int)
    parser.add_argument("--cache", action="store_true")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hashes", type=int)
    parser.add_argument("--rows", type=int)
    options = parser.parse_args()
    if options.hashes:
        random_pictures(options.hashes)
    elif options.rows:
        many_rows(options.rows)
    elif not options.directory:
        parser.error("type a directory of images, --rows N, or --hashes N")
    elif options.files:
        many_files(options.directory, options.files)
    elif options.cache:
        cached_pictures(options.directory, options.image_size, options.repeats)
    else:
        recall(options.directory, options.only)


if __name__ == "__main__":
    main()
