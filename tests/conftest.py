"""What all tests share: contracts whose assertions explain themselves, and marks."""

import pytest

pytest.register_assert_rewrite("contracts")
