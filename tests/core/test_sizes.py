"""Amounts of memory are parsed, printed, and chosen by default."""

import os

import pytest

from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import DEFAULT_LIMIT_BYTES, default_limit_bytes, format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("amount", "size_bytes"),
    [(1, 1), ("512", 512), ("64 kB", 64_000), ("128MB", 128 * 10**6), ("1.5GiB", 3 * 2**29), (" 2 tb ", 2 * 10**12)],
)
def test_parse_bytes(amount, size_bytes):
    assert parse_bytes(amount) == size_bytes


@pytest.mark.parametrize("amount", [0, -1, True, None, "", "much", "12 parsecs", "-3MB", 0.5, "0.2"])
def test_parse_bytes_refuses_other_values(amount):
    with pytest.raises(OptionError, match=r"`cache_limit` should be a number of bytes.*Received: cache_limit="):
        parse_bytes(amount, name="cache_limit")


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3 * 10**12, "3.0 TB")],
)
def test_format_bytes(size_bytes, text):
    assert format_bytes(size_bytes) == text


def test_default_limit_is_a_tenth_of_the_memory_and_at_most_512_mb(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10**6}.get)
    assert default_limit_bytes() == 409_600_000
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10**8}.get)
    assert default_limit_bytes() == DEFAULT_LIMIT_BYTES


def test_default_limit_without_sysconf(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert default_limit_bytes() == DEFAULT_LIMIT_BYTES
