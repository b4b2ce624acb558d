"""The number of CPU cores respects the quota of a container, the affinity of the process, and the environment."""

import builtins
import io
import os
import subprocess
import sys

import pytest

from keras_oocore.core.cpu import num_cpus


@pytest.fixture
def machine_of_64_cores(monkeypatch):
    """A machine whose control group files are what the test says: `quotas[path] = text`."""
    quotas, really_open, really_exists = {}, builtins.open, os.path.exists

    def fake_exists(path):
        return path in quotas if str(path).startswith("/sys/fs/cgroup") else really_exists(path)

    def fake_open(path, *arguments, **options):
        if str(path).startswith("/sys/fs/cgroup"):
            return io.StringIO(quotas[path])
        return really_open(path, *arguments, **options)

    num_cpus()  # joblib is imported before the file system is replaced
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(builtins, "open", fake_open)
    monkeypatch.setattr(
        os.path,
        "exists",
        lambda path: path in quotas if str(path).startswith("/sys/fs/cgroup") else really_exists(path),
    )
    return quotas


@pytest.mark.parametrize(
    ("quota", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("max 100000", 64)]
)
def test_a_quota_of_a_container(machine_of_64_cores, quota, expected):
    machine_of_64_cores["/sys/fs/cgroup/cpu.max"] = quota
    assert num_cpus() == expected


def test_a_quota_of_an_older_container(machine_of_64_cores):
    machine_of_64_cores["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "200000"
    machine_of_64_cores["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000"
    assert num_cpus() == 2


def test_no_quota(machine_of_64_cores):
    assert num_cpus() == 64


def test_affinity_and_environment(machine_of_64_cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert num_cpus() == 3
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert num_cpus() == 1


def test_joblib_is_imported_on_first_use():
    script = "import sys; import keras_oocore, keras_oocore.core.cpu; print('joblib' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert child.stdout.strip() == "False", child.stderr
