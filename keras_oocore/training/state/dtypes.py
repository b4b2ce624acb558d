"""The names of dtypes in files, and dtypes by their names: also those of ml_dtypes, such as `bfloat16`."""

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError


def dtype_name(dtype: np.dtype) -> str | None:
    """Return the name of a dtype, including its byte order, or `None` for objects, records and other types.

    >>> dtype_name(np.dtype("float32")), dtype_name(np.dtype(object))
    ('<f4', None)
    """
    if dtype.type.__module__ == "ml_dtypes":
        return dtype.name
    if dtype.kind not in "biufcSUMm" or not dtype.itemsize:
        return None
    if np.dtype(dtype.str).type is not dtype.type:
        return dtype.str[0] + dtype.char  # longlong, which is not int64 though both have 8 bytes
    return dtype.str


def named_dtype(name: str) -> np.dtype:
    """Return the dtype with that `dtype_name`.

    Raises:
        DataError: If there is none.
        MissingExtraError: If it is a dtype of ml_dtypes, which is not installed.

    >>> named_dtype(">f4"), named_dtype("bfloat16")
    (dtype('>f4'), dtype(bfloat16))
    """
    try:
        dtype = np.dtype(getattr(_ml_dtypes(name), name) if name.isidentifier() else name)
    except (TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise DataError(f"There is no dtype {name!r}.") from error
    if dtype_name(dtype) != name:
        raise DataError(f"There is no plain dtype {name!r}.")
    return dtype


def _ml_dtypes(name: str):
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingExtraError(f"The dtype {name} requires ml_dtypes. Install it: pip install ml_dtypes") from error
    return ml_dtypes
