"""The words of other libraries for arguments, and what to type here."""

from collections.abc import Collection

SPLIT = "Split the rows: train, val = rows.split(validation_split=0.2)."
OF_SPLIT = "It is an argument of `split` of the rows."
DATES = "The usual formats of dates are recognized. For another one: dtypes={COLUMN: '%d %B %Y'}."
BOOLEANS = "yes, no, true, false, 1 and 0 are read as such: dtypes={COLUMN: 'bool'}. Other words are strings."
COMPRESSED = "Compressed files are recognized by their content, and require a `cache`."
BAD_ROWS = "Leave out rows that cannot be read with on_bad_row='skip'."
DOUBLED = "A doubled quote in a cell is recognized. Another way to write it is `escapechar`."
ANY_END = "All line ends are recognized. Leave it out."
IN_PARTS = "The rows are read in parts in any case. Leave it out."
IN_A_TABLE = "Names and labels in a table: pass ko.Manifest.from_csv(table, x_col=..., y_col=..., directory=...)."
LAST_BATCH = 'Use last_batch="drop" instead, or last_batch="pad".'
INFERRED = "Kinds are inferred from cells of all files. Leave it out."

# Names of arguments in Keras, pandas and others, and the name here.
SYNONYMS = {
    "target_size": "image_size",
    "img_size": "image_size",
    "image_shape": "image_size",
    "class_mode": "label_mode",
    "classes": "class_names",
    "y": "labels",
    "x_col": IN_A_TABLE,
    "y_col": IN_A_TABLE,
    "sep": "delimiter",
    "usecols": "features",
    "na_values": "null_values",
    "names": "column_names",
    "skiprows": "skip_rows",
    "chunksize": "batch_size",
    "num_workers": "workers",
    "preprocessing_function": "transform",
    "horizontal_flip": 'Use transform=ko.augment(flip="horizontal").',
    "vertical_flip": 'Use transform=ko.augment(flip="vertical").',
    "rotation_range": "Use transform=ko.augment(rotation=0.05), in full turns.",
    "width_shift_range": "Use transform=ko.augment(translation=0.1).",
    "height_shift_range": "Use transform=ko.augment(translation=0.1).",
    "zoom_range": "Use transform=ko.augment(zoom=0.1).",
    "shear_range": "Use transform=ko.augment(shear=0.1).",
    "brightness_range": "Use transform=ko.augment(brightness=0.2).",
    "augment": 'Use transform=ko.augment(flip="horizontal", rotation=0.05), for example.',
    "augmentation": 'Use transform=ko.augment(flip="horizontal", rotation=0.05), for example.',
    "epochs": "Pass `epochs` to `fit`.",
    "verbose": "Leave it out.",
    "label_name": "target",
    "drop_remainder": LAST_BATCH,
    "drop_last": LAST_BATCH,
}

# The same for rows of tables: words of pandas, polars, pyarrow, DuckDB, Python's csv, tf.data and Keras.
OF_TABLES = {
    "path": "data",
    "paths": "data",
    "filename": "data",
    "filepath": "data",
    "filepath_or_buffer": "data",
    "file_pattern": "data",
    "source": "data",
    "y": "target",
    "label": "target",
    "labels": "target",
    "y_col": "target",
    "target_column": "target",
    "x": "features",
    "x_col": "features",
    "columns": "features",
    "select_columns": "features",
    "include_columns": "features",
    "drop": "exclude",
    "drop_columns": "exclude",
    "ignore": "exclude",
    "weight_col": "sample_weight",
    "id_col": "ids",
    "class_mode": "label_mode",
    "delim": "delimiter",
    "delim_whitespace": "delimiter",
    "separator": "delimiter",
    "index_col": "index_column",
    "row_index_name": "index_column",
    "skip_rows_before_header": "skip_rows",
    "skip": "skip_rows",
    "has_header": "header",
    "new_columns": "column_names",
    "dtype": "dtypes",
    "dtype_backend": "dtypes",
    "schema": "dtypes",
    "schema_overrides": "dtypes",
    "column_types": "dtypes",
    "column_defaults": "dtypes",
    "types": "dtypes",
    "null_value": "null_values",
    "nullstr": "null_values",
    "na_value": "null_values",
    "null_padding": "on_bad_row",
    "nrows": "num_rows",
    "n_rows": "num_rows",
    "sample_size": "num_rows",
    "comment_prefix": "comment",
    "comment_char": "comment",
    "quote": "quotechar",
    "quote_char": "quotechar",
    "escape": "escapechar",
    "escape_char": "escapechar",
    "skipinitialspace": "skip_initial_space",
    "decimal_separator": "decimal",
    "decimal_point": "decimal",
    "decimal_comma": "decimal",
    "on_bad_lines": "on_bad_row",
    "error_bad_lines": "on_bad_row",
    "warn_bad_lines": "on_bad_row",
    "ignore_errors": "on_bad_row",
    "invalid_row_handler": "on_bad_row",
    "truncate_ragged_lines": "on_bad_row",
    "strict_mode": "on_bad_row",
    "fillna": "missing",
    "na_filter": "missing",
    "block_size": "memory_limit",
    "n_threads": "workers",
    "num_parallel_reads": "workers",
    "use_threads": "workers",
    "map": "transform",
    "prefetch": "max_queue_size",
    "prefetch_buffer_size": "max_queue_size",
    "shuffle_seed": "seed",
    "random_state": "seed",
    "shuffle_buffer_size": "`shuffle=True` shuffles 64 blocks of the files together, and all rows with `cache`.",
    "num_epochs": "Pass `epochs` to `fit`.",
    "validation_split": SPLIT,
    "test_split": SPLIT,
    "test_size": SPLIT,
    "subset": SPLIT,
    "stratify": OF_SPLIT,
    "groups": OF_SPLIT,
    "normalize": "The model can begin with the layer rows.normalization().",
    "standardize": "The model can begin with the layer rows.normalization().",
    "rescale": "The model can begin with the layer rows.normalization().",
    "parse_dates": DATES,
    "date_format": DATES,
    "dateformat": DATES,
    "timestampformat": DATES,
    "timestamp_parsers": DATES,
    "date_parser": DATES,
    "try_parse_dates": DATES,
    "infer_datetime_format": DATES,
    "dayfirst": "Give the format of the dates: dtypes={COLUMN: '%d/%m/%Y'}.",
    "keep_default_na": "Only `null_values` are missing: null_values=[..., '-'] adds to the default ones.",
    "true_values": BOOLEANS,
    "false_values": BOOLEANS,
    "converters": "`thousands`, `strip` and `dates` convert cells, and `transform` changes the numbers of a batch.",
    "compression": COMPRESSED,
    "compression_type": COMPRESSED,
    "encoding_errors": "Cells that cannot be decoded are errors. Leave out their rows with on_bad_row='skip'.",
    "skipfooter": BAD_ROWS,
    "skip_rows_after_header": BAD_ROWS,
    "skip_blank_lines": "Blank lines are always skipped. Leave it out.",
    "lineterminator": ANY_END,
    "eol_char": ANY_END,
    "newlines_in_values": "Cells between quotes may have line breaks. Leave it out.",
    "quoting": "Quotes are recognized in each cell. A file that quotes nothing has quotechar=None.",
    "doublequote": DOUBLED,
    "double_quote": DOUBLED,
    "dialect": "Pass what it consists of: `delimiter`, `quotechar`, `escapechar`.",
    "iterator": IN_PARTS,
    "low_memory": "Memory is limited by `memory_limit`. Leave it out.",
    "memory_map": IN_PARTS,
    "rechunk": IN_PARTS,
    "engine": "There is one parser. Leave it out.",
    "float_precision": "Numbers are rounded correctly, and are float32. Leave it out.",
    "infer_schema_length": INFERRED,
    "num_rows_for_inference": INFERRED,
    "auto_detect": INFERRED,
    "union_by_name": "Columns are found by their names in each file. Leave it out.",
    "storage_options": "Files are read from this machine. Download them first.",
}


OF_CSV = {  # arguments that describe how CSV files are written
    *("thousands", "strip", "header", "column_names", "index_column", "delimiter", "quotechar", "escapechar"),
    *("skip_initial_space", "encoding", "decimal", "skip_rows", "comment"),
}
OF_CSV_FILES = " It describes CSV files: use ko.CSVChunkSequence for them."


def answer(name: str, known: Collection[str]) -> str:
    """Return the end of an error message that says what to type instead of `name`, or `""` if it is not known.

    Args:
        name: A word of another library.
        known: The names of the arguments here.

    >>> answer("sep", ["data", "delimiter"]), answer("sep", ["data"])
    (' Use `delimiter` instead.', '')
    """
    of_table = "target" in known
    word = OF_TABLES.get(name, SYNONYMS.get(name)) if of_table else SYNONYMS.get(name)
    if of_table and (word or name) in OF_CSV and (word or name) not in known:
        return OF_CSV_FILES
    if word is None:
        return ""
    if word.isidentifier():
        return f" Use `{word}` instead." if word in known else ""
    return f" {word}"
