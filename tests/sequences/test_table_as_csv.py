"""TableSequence of a Parquet file passes the tests of CSVChunkSequence that do not depend on the format."""

import importlib.util
from pathlib import Path

import inside_sequence as inside
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from csv_numbers import NUM_ROWS

import keras_oocore as ko

SHARED = {
    "test_csv_chunk": (
        "test_batches_by_index",
        "test_batches_depend_on_seed_but_not_on_workers",
        "test_batches_do_not_depend_on_batches_per_job",
        "test_batches_in_any_order_and_repeated",
        "test_error_of_transform_affects_only_its_batch",
        "test_kept_rows_do_not_change",
        "test_last_batch_drop",
        "test_last_batch_pad",
        "test_last_batch_pad_of_parts_and_shards",
        "test_loop_after_an_interrupted_loop_is_a_whole_pass",
        "test_no_warnings",
        "test_order_does_not_depend_on_max_queue_size",
        "test_shuffle_false_is_the_order_of_the_files",
    ),
    "test_csv_chunk_cache": (
        "test_statistics_of_an_earlier_run_are_used",
        "test_threads_fill_the_cache_once",
        "test_whole_sequence_is_cached_besides_its_split_parts",
    ),
    "test_csv_chunk_fit": (
        "test_fit_trains_in_the_planned_order",
        "test_fit_with_validation_data_evaluate_and_predict",
        "test_normalization_scales_numbers_but_not_codes",
        "test_sample_weight_column",
        "test_target_none",
    ),
    "test_csv_chunk_position": (
        "test_state_of_a_split_part_resumes_only_that_part",
        "test_state_resumes_after_every_batch",
        "test_state_without_shuffle_does_not_depend_on_cache_or_workers",
    ),
    "test_csv_chunk_split": (
        "test_fit_on_partitions_trains_on_every_row_once_per_epoch",
        "test_forked_process_reads_a_partition",
        "test_partitions_are_pickled_and_closed_independently",
        "test_partitions_of_a_split_part",
        "test_partitions_share_one_cache_that_is_filled_once",
        "test_split_parts_are_cached_in_subdirectories",
        "test_split_parts_are_disjoint_and_complete_and_validation_is_in_order",
        "test_state_of_a_partition_resumes_only_that_partition",
    ),
}

for module, names in SHARED.items():
    spec = importlib.util.spec_from_file_location(module, Path(__file__).with_name(f"{module}.py"))
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    globals().update({name: getattr(loaded, name) for name in names})


@pytest.fixture
def open_csv(tmp_path, monkeypatch):
    """A function that opens a Parquet file. Row i is `x = i, city, y = 2 i`, and a row group contains ten rows."""
    monkeypatch.chdir(tmp_path)
    rows = range(NUM_ROWS)
    cities = ["Rome" if i % 3 else "Oslo" for i in rows]
    table = pa.table({"x": list(rows), "city": cities, "y": [2 * i for i in rows]})
    pq.write_table(table, "houses.parquet", row_group_size=10)

    def open_csv(cached=False, data="houses.parquet", **options):
        if cached:
            options["cache"] = tmp_path / "cache"
        return ko.TableSequence(data, **{"target": "y", "features": ["x"], "batch_size": 4, "seed": 7, **options})

    return open_csv


def test_a_row_group_is_a_chunk(open_csv):
    sizes = inside.source(open_csv()).sizes
    assert sizes == [10] * (NUM_ROWS // 10) + [NUM_ROWS % 10]
