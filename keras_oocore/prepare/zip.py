"""Packs a folder into one zip file without compression, and unpacks it safely."""

import contextlib
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from keras_oocore.core.errors import DataError, DestinationError, OptionError, OutOfCoreError, SampleError
from keras_oocore.core.files import (
    CHUNK_BYTES,
    as_path,
    explained,
    leaves_folder,
    read_chunks,
    require_disk,
    write_whole,
)
from keras_oocore.core.progress import tqdm
from keras_oocore.core.temporary import TEMPORARY_PREFIX, remove_leftovers
from keras_oocore.manifest.folders import existing_directory

ENTRY_BYTES = 200  # the headers of one file in a zip, without its name, which is stored twice


def zip_folder(
    directory: str | os.PathLike[str],
    destination: str | os.PathLike[str] | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Packs a folder into one zip file, for example to copy it to another machine.

    Files are stored in sorted order without compression, because images are already compressed. Names in the zip file
    start with the name of the folder. Linked files are stored as their content. The zip file only gets its name once
    it is complete.

    Args:
        directory: Folder to pack.
        destination: Path of the zip file. Defaults to `<directory>.zip`.
        progress: Whether to show a progress bar. Defaults to `True`.
        overwrite: Whether to replace an existing zip file. Defaults to `False`.

    Returns:
        The path of the zip file.

    Raises:
        DataError: If the folder does not exist or is empty, or a file cannot be read.
        DestinationError: If the zip file exists, cannot be written, or does not fit on the disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory, "all_images", "cat__001.png")
    ...     path.parent.mkdir()
    ...     _ = path.write_bytes(b"...")
    ...     zip_path = zip_folder(path.parent, progress=False)
    ...     zip_path.name, zipfile.ZipFile(zip_path).namelist()
    ('all_images.zip', ['all_images/cat__001.png'])
    """
    folder = existing_directory(directory)
    top = Path(os.path.abspath(folder)).name
    if not top:
        raise OptionError(f"`directory` should be a folder with a name. Received: directory={os.fspath(directory)!r}")
    if destination is None:
        destination = folder.with_name(f"{top}.zip") if folder.name == top else Path(os.path.abspath(folder) + ".zip")
    destination = as_path(destination, "destination")
    if destination.is_dir() or (os.path.lexists(destination) and not overwrite):
        raise DestinationError(
            f"{os.fspath(destination)!r} already exists and is not overwritten. Move it away, choose "
            "another `destination`, or pass overwrite=True."
        )
    remove_leftovers(destination.parent)
    members = _members(folder, "", [os.path.realpath(folder)], os.path.realpath(destination))
    if not members:
        raise DataError(f"{os.fspath(directory)!r} is empty: there is nothing to zip.")
    infos = [_info(folder, top, name) for name in members]
    total_bytes = sum(info.file_size for info in infos)
    overhead_bytes = sum(ENTRY_BYTES + 2 * len(info.filename.encode()) for info in infos)
    require_disk(destination.parent, total_bytes + overhead_bytes, f"{os.fspath(destination)!r}")
    with (
        write_whole(destination, overwrite) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        tqdm(total=total_bytes, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        for info, name in zip(infos, members):
            with archive.open(info, "w") as member:
                if not info.is_dir():
                    for chunk in read_chunks(folder / name):
                        member.write(chunk)
                        bar.update(len(chunk))
    return destination


def unzip_folder(
    zip_path: str | os.PathLike[str], destination: str | os.PathLike[str] | None = None, progress: bool = True
) -> Path:
    """Unpacks a zip file into a folder.

    All names are checked before the first file is written. Hidden files of keras_oocore, whose names start with
    `.keras_oocore-`, are left out, as in `zip_folder`. Calling the function again resumes an interrupted run.
    Existing files with other content are never overwritten.

    Args:
        zip_path: Path of the zip file.
        destination: Folder to unpack into. Defaults to the folder of the zip file.
        progress: Whether to show a progress bar. Defaults to `True`.

    Returns:
        The folder that the zip file was unpacked into.

    Raises:
        DataError: If the file is not a zip file, is damaged or encrypted, or contains a name that is outside
            `destination`.
        DestinationError: If a file cannot be written, or exists with other content.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory, "all_images", "cat__001.png")
    ...     path.parent.mkdir()
    ...     _ = path.write_bytes(b"...")
    ...     folder = unzip_folder(zip_folder(path.parent, progress=False), Path(directory, "there"), progress=False)
    ...     (folder / "all_images" / "cat__001.png").read_bytes()
    b'...'
    """
    zip_path = as_path(zip_path, "zip_path")
    destination = zip_path.parent if destination is None else as_path(destination, "destination")
    name = os.fspath(zip_path)
    with _explained_zip(name), zipfile.ZipFile(zip_path) as archive:
        infos = [info for info in archive.infolist() if not _is_ours(info)]
        for info in infos:
            _require_harmless(info, name)
            _require_plausible(info, zip_path.stat().st_size)
        total_bytes = sum(info.file_size for info in infos)
        require_disk(destination, total_bytes, f"the content of {name!r}")
        for folder in {os.path.dirname(info.filename) for info in infos}:
            remove_leftovers(destination / folder)
        with tqdm(total=total_bytes, unit="B", unit_scale=True, disable=not progress) as bar:
            for info in infos:
                _unpack(archive, info, destination / info.filename, name)
                bar.update(info.file_size)
    return destination


def _members(folder: Path, prefix: str, ancestors: list[str], zip_path: str) -> list[str]:
    """Sorted relative paths of all files and empty folders, without circles of links."""
    members = []
    try:
        entries = sorted(os.scandir(folder / prefix), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"Cannot read the folder {os.fspath(folder / prefix)!r}: {error.strerror or error}.") from error
    for entry in entries:
        if entry.name.startswith(TEMPORARY_PREFIX):
            continue
        name, real = prefix + entry.name, os.path.realpath(entry.path)
        if entry.is_dir():
            if real not in ancestors:
                below = _members(folder, f"{name}/", [*ancestors, real], zip_path)
                members += below or [f"{name}/"]
        elif real != zip_path:
            members.append(name)
    return members


def _info(folder: Path, top: str, name: str) -> zipfile.ZipInfo:
    path = folder / name
    try:
        if not (path.is_file() or path.is_dir()):
            raise SampleError(f"Cannot zip {os.fspath(path)!r}: it is a broken link or not a regular file.")
        info = zipfile.ZipInfo.from_file(path, f"{top}/{name}", strict_timestamps=False)  # before 1980: 1980
        info.filename.encode()
    except OSError as error:
        raise SampleError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.") from error
    except UnicodeEncodeError as error:
        raise DataError(f"Cannot zip {os.fspath(path)!r}: its name is not valid Unicode. Rename it.") from error
    return info


@contextlib.contextmanager
def _explained_zip(zip_name: str) -> Iterator[None]:
    """Turn the errors of reading a zip file, which are of nearly any type if it is damaged, into a `DataError`."""
    try:
        yield
    except OutOfCoreError:
        raise
    except OSError as error:
        raise DataError(f"Cannot read {zip_name!r}: {error.strerror or error}.") from error
    except Exception as error:
        raise DataError(f"{zip_name!r} is not a complete zip file: {error or type(error).__name__}.") from error


def _is_ours(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a hidden file of keras_oocore, such as a lock: unpacked, it would act on the folder."""
    parts = info.filename.replace("\\", "/").split("/")
    return any(part.lower().startswith(TEMPORARY_PREFIX) for part in parts)


def _require_plausible(info: zipfile.ZipInfo, zip_bytes: int) -> None:
    """Check the size of a member before the disk for it is: a damaged number may ask for any size."""
    is_stored = info.compress_type == zipfile.ZIP_STORED
    if info.compress_size > zip_bytes or (is_stored and info.file_size != info.compress_size):
        raise zipfile.BadZipFile(f"the size of {info.filename!r} is wrong")


def _require_harmless(info: zipfile.ZipInfo, zip_name: str) -> None:
    if leaves_folder(info.orig_filename, any_system=True) or leaves_folder(info.filename, any_system=True):
        raise DataError(
            f"{zip_name!r} contains the name {info.orig_filename!r}, which is outside the folder to unpack into. "
            "Nothing was unpacked. Do not trust this file."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(
            f"{zip_name!r} contains the link {info.filename!r}. Links are not supported. Nothing was unpacked."
        )
    if info.flag_bits & 1:
        raise DataError(f"{zip_name!r} is encrypted. Unpack it with the program that created it.")


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, zip_name: str) -> None:
    if info.is_dir():
        with explained(target):
            target.mkdir(parents=True, exist_ok=True)
    elif not (target.is_file() and _has_content(target, info)):
        with write_whole(target, overwrite=False, durable=False) as file:
            for chunk in _read_member(archive, info, zip_name):
                file.write(chunk)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, zip_name: str) -> Iterator[bytes]:
    """The content of a member, in chunks. (`write_whole` would report an OSError as one of the destination.)"""
    with contextlib.ExitStack() as stack:
        with _explained_zip(zip_name):
            member = stack.enter_context(archive.open(info))
        while True:
            with _explained_zip(zip_name):
                chunk = member.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def _has_content(path: Path, info: zipfile.ZipInfo) -> bool:
    if path.stat().st_size != info.file_size:
        return False
    checksum = 0
    for chunk in read_chunks(path):
        checksum = zlib.crc32(chunk, checksum)
    return checksum == info.CRC
