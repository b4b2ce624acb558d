"""Parquet in the list of table formats."""

from keras_oocore.tables.arrow.table import OPTIONS
from keras_oocore.tables.opening import Format
from keras_oocore.tables.parquet.paths import is_parquet
from keras_oocore.tables.parquet.table import ParquetTable

PARQUET = Format("Parquet", is_parquet, ParquetTable, OPTIONS)
