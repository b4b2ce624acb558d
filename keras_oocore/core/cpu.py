"""How many CPU cores this process may use."""


def num_cpus() -> int:
    """Return the number of CPU cores that this process may use, at least 1.

    It respects the CPU quota of a container, the CPU affinity of the process, and the environment variable
    `LOKY_MAX_CPU_COUNT` (`joblib.cpu_count`).

    >>> num_cpus() >= 1
    True
    """
    from joblib import cpu_count  # importing joblib takes 0.2 s

    return cpu_count()
