"""Files that are not CSV: recognized by their first bytes or their address, and answered with what to type instead."""

import json
import re
import shlex

from keras_oocore.core import storage
from keras_oocore.core.errors import CSVError, DataError
from keras_oocore.csv.codecs import codec_of, zip_format
from keras_oocore.csv.index import cannot_read

HEAD_BYTES = 4096
BOM = b"\xef\xbb\xbf"
PANDAS = "Convert it first: import pandas as pd; pd.read_{}({{path!r}}).to_csv('out.csv', index=False)"
DUCKDB = ". If it is larger than memory: duckdb -c \"COPY (FROM '{path}') TO 'out.csv'\""
EXCEL = f"{PANDAS.format('excel')}, or save it as CSV UTF-8 in Excel"
UNPACK = "Unpack it first, and pass its files: {} {{quoted}}"
ICONV = "Convert it first: iconv -f {} -t UTF-8 {{quoted}} > out.csv"
NPY = "Its rows are read by ko.ArraySequence({path!r}, labels)."
HDF5 = f"{PANDAS.format('hdf')}. An array in it is read by ko.ArraySequence({{path!r}}, labels, dataset=NAME)."
NPZ = "An array in it is read by ko.ArraySequence(np.load({path!r})[NAME], labels)."
TYPED = "Its rows are read by ko.TableSequence({path!r}, target). To convert it: "
PARQUET = TYPED + PANDAS.format("parquet").removeprefix("Convert it first: ") + DUCKDB
FEATHER = TYPED + PANDAS.format("feather").removeprefix("Convert it first: ")
FEATHER_1 = (
    "Convert it first: from pyarrow import feather; feather.write_feather(feather.read_table({path!r}), "
    "'out.feather'). Its rows are then read by ko.TableSequence('out.feather', target)."
)
ARROW = f"{TYPED}from pyarrow import csv, ipc; csv.write_csv(ipc.open_stream({{path!r}}).read_all(), 'out.csv')"
ORC = (
    f"{PANDAS.format('orc')}. If it is larger than memory: from pyarrow import orc; file = orc.ORCFile({{path!r}}); "
    "ko.TableSequence(map(file.read_stripe, range(file.nstripes)), target, cache='DIR')"
)
SQLITE = 'Export a table of it first: sqlite3 -header -csv {quoted} "SELECT * FROM NAME" > out.csv'
LOGIN = "Was it downloaded without a login, or from the address of a page about the file? Download the file again."

# First bytes, as a regular expression → what the file is, and what to do. Words that may begin a header are followed by
# a byte that text does not contain.
BINARY: dict[bytes, tuple[str, str]] = {
    rb"PAR1[\x00-\x08\x0b\x0c\x0e-\x1f]": ("a Parquet file", PARQUET),
    rb"ARROW1\x00\x00": ("a Feather file", FEATHER),
    rb"FEA1\x00": ("a Feather file of the first version", FEATHER_1),
    rb"\xff\xff\xff\xff.{3}\x00\x10\x00": ("an Arrow stream", ARROW),
    rb"ORC.{0,16}?[\x00-\x08]": ("an ORC file", ORC),
    rb"\x93NUMPY": ("a .npy file", NPY),
    rb"\x89HDF\r\n\x1a\n": ("an HDF5 file", HDF5),
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an Excel workbook (.xls)", EXCEL),
    rb"SQLite format 3\x00": ("a SQLite database", SQLITE),
    rb"\x80[\x02-\x05]": (
        "a pickle",
        f"{PANDAS.format('pickle')}. Only do so if you trust it: a pickle can run any code",
    ),
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\x00|MM\x00\*|RIFF.{4}WEBP": (
        "an image",
        "Images are read by ko.ImageFolderSequence(FOLDER).",
    ),
    rb"%PDF-": ("a PDF document", "Ask its authors for the table as a CSV file."),
    rb"Rar!\x1a\x07": ("a RAR archive", UNPACK.format("unrar x")),
    rb"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK.format("7z x")),
    rb".{257}ustar(\x00|  \x00)": ("a tar archive", UNPACK.format("tar -xf")),
    rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff": ("in UTF-32", ICONV.format("UTF-32")),
    rb"\xff\xfe|\xfe\xff": ("in UTF-16", ICONV.format("UTF-16")),
    rb"([^\x00]\x00){8}": ("in UTF-16", ICONV.format("UTF-16LE")),
    rb"(\x00[^\x00]){8}": ("in UTF-16", ICONV.format("UTF-16BE")),
}
ZIPPED = {
    ".xlsx": ("an Excel workbook (.xlsx)", EXCEL),
    ".ods": ("an OpenDocument file", f"{PANDAS.format('excel')}, or save it as CSV in LibreOffice"),
    ".docx": ("an Office document", "Save its table as a CSV file."),
    ".npz": ("a .npz file", NPZ),
}
JSON = ("a JSON file", PANDAS.format("json"))
TEXT: dict[bytes, tuple[str, str]] = {  # the same for the first words of a text
    rb"(?i)<(!doctype\s+html|html|head|body|script|meta|title|table|div)\b": ("a web page (HTML)", LOGIN),
    rb"<\?xml\s": ("an XML file", PANDAS.format("xml")),
    rb"version https://git-lfs\.github\.com/spec/": ("a pointer of Git LFS", "Download the file itself: git lfs pull"),
    rb"[\[{]\s*[\r\n]|\[\s*[\[{]\s*([\r\n]|[\[{]?\s*\")": JSON,
}
JSON_LINES = ("a JSON lines file", f"{PANDAS.format('json').replace('!r})', '!r}, lines=True)')}{DUCKDB}")

REMOTE = re.compile(r"([a-z][a-z0-9+.-]+):/(/|[^/\\]+/)", re.IGNORECASE)  # a `Path` has one slash
DOWNLOADS = {
    "s3": "aws s3 cp {} .",
    "gs": "gcloud storage cp {} .",
    "http": "curl -LO {}",
    "https": "curl -LO {}",
    "ftp": "curl -LO {}",
    "hdfs": "hdfs dfs -get {} .",
}


def require_csv(path: str, is_whole: bool = True) -> bytes:
    """Return the first bytes of a file.

    Args:
        path: The file.
        is_whole: Whether the table begins with the first byte, so that its first words say what it is.

    Raises:
        DataError: If the file cannot be read, is compressed, is in a multi-byte encoding such as UTF-16, or is of
            another format. The message says how to convert it.
    """
    try:
        head = storage.first_bytes(path, HEAD_BYTES)
    except OSError as error:
        raise cannot_read(path, error) from error
    codec = codec_of(path)
    if codec is not None:
        command = f"gunzip -k {path}" if codec.suffix == ".gz" and path.endswith(".gz") else codec.command
        raise CSVError.of(
            path,
            f"the file is compressed with {codec.name}, not CSV.",
            f'Convert it first: {command.format(shlex.quote(path))} (or pass cache="DIR", where it is unpacked once)',
        )
    found = _format_of(path, head, is_whole)
    if found is not None:
        what, fix = found
        raise CSVError.of(path, f"the file is {what}, not CSV.", fix.format(path=path, quoted=shlex.quote(path)))
    return head


def require_local(path: str) -> None:
    """Raise if a path is the address of a remote file, unless a file of this name exists.

    Raises:
        DataError: If it is. The message says how to download it.

    >>> require_local("s3://bucket/houses.csv")
    Traceback (most recent call last):
    keras_oocore.core.errors.DataError: Cannot read 's3://bucket/houses.csv': it is not on this machine. Download it \
first: aws s3 cp s3://bucket/houses.csv .
    """
    found = REMOTE.match(path)
    if not found or storage.exists(path):
        return
    scheme = found[1].lower()
    address = path if found[2] == "/" else path.replace(":/", "://", 1)
    if scheme == "file":
        raise DataError(f"Cannot read {address!r}: pass a path instead: {address.removeprefix('file://')!r}")
    command = DOWNLOADS.get({"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(scheme, scheme))
    how = "." if command is None else f": {command.format(shlex.quote(address))}"
    raise DataError(f"Cannot read {address!r}: it is not on this machine. Download it first{how}")


def _format_of(path: str, head: bytes, is_whole: bool) -> tuple[str, str] | None:
    """Return what a file is and what to do about it, or `None` if it may be CSV."""
    for magic, answer in BINARY.items():
        if re.match(magic, head, re.DOTALL):
            return answer
    if head.startswith(b"PK") and (suffix := zip_format(path)):
        return ZIPPED[suffix]
    if not is_whole:
        return None
    text = head.removeprefix(BOM).lstrip()
    for words, answer in TEXT.items():
        if re.match(words, text):
            return answer
    return _json(text) if re.match(rb"\{\s*[\"}]", text) else None


def _json(text: bytes) -> tuple[str, str] | None:
    """Return which kind of JSON a text is that begins like an object, or `None` for a cell of CSV without quotes."""
    line = re.split(rb"[\r\n]", text, maxsplit=1)[0]
    try:
        return JSON_LINES if isinstance(json.loads(line), dict) else None
    except ValueError:
        return JSON if line.count(b"{") > line.count(b"}") else None
