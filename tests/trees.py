"""Directory trees for tests, in which each file contains its own name."""

from pathlib import Path


def make_tree(root, *names: str, repeat: int = 1) -> Path:
    """Create the files `names` below `root`. Each file contains its name, `repeat` times."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape") * repeat)
    return Path(root)
