"""Memory while loading: peak resident memory epoch by epoch, and the most bytes of batches in flight.

python benchmarks/memory.py PHOTOS --memory-limit 64MB
"""

import argparse
import os
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_oocore as ko
from keras_oocore.batches.pool import BufferPool
from keras_oocore.core.sizes import format_bytes, parse_bytes


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Counted(BufferPool):
    """A pool that knows how many of its buffers are lent."""

    lent = most = 0

    def lease(self):
        self.lent += 1
        self.most = max(self.most, self.lent)
        return super().lease()

    def _give_back(self, memory):
        self.lent -= 1
        super()._give_back(memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--memory-limit", default="64MB")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    batches = ko.ImageFolderSequence(
        options.directory, labels=None, image_size=(224, 224), seed=0, memory_limit=options.memory_limit
    )
    pool = batches._pipeline.maker.pool
    batches._pipeline.maker.pool = counted = Counted(pool.buffer_bytes, pool.keep)
    opened = peak_bytes()
    for epoch in range(options.epochs):
        for _ in batches:
            pass
        print(f"epoch {epoch}: peak {format_bytes(peak_bytes())}, {format_bytes(peak_bytes() - opened)} above opening")
    in_flight = counted.most * counted.buffer_bytes
    print(f"in flight at most {format_bytes(in_flight)} of {format_bytes(parse_bytes(options.memory_limit))}")


if __name__ == "__main__":
    main()
