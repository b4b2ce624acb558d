"""The endings of image files that are read."""

from importlib.util import find_spec

PLAIN_EXTENSIONS = (
    ".avif",
    ".bmp",
    ".gif",
    ".ico",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tga",
    ".tif",
    ".tiff",
    ".webp",
)
HEIC_EXTENSIONS = (".heic", ".heif") if find_spec("pillow_heif") else ()
IMAGE_EXTENSIONS = tuple(sorted(PLAIN_EXTENSIONS + HEIC_EXTENSIONS))
