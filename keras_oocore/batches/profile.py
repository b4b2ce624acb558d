"""Measures where the time per batch goes, and advises which setting would help."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.stopwatch import Stopwatch

STAGES = ("reading", "decoding", "resizing", "transform", "assembling")  # "assembling" is the rest of the work
WARM_UP_BATCHES = 2  # they start threads, allocate memory, and import modules that readers import late
ENOUGH_AHEAD = 4  # this number of batches ahead evens out fast and slow batches
STANDS_OUT = 0.2  # advice is given if it saves this share of the time per batch
MOST_ADVICE = 2  # the largest number of sentences
MEMORY_BYTES = 5e8  # per second; rows that a thread reads faster than this come from memory, not from a disk
ROW_BYTES = 64  # finding a row in memory takes as long as reading this many bytes


@dataclass(frozen=True)
class Settings:
    """The settings of a Sequence that determine how fast it loads."""

    batch_size: int
    num_workers: int
    num_cores: int
    batches_ahead: int
    max_queue_size: int
    batch_bytes: int
    memory_bytes: int  # limit of all batches in flight
    shuffle: bool | str
    converts: bool  # whether `rescale`, `dtype` or `data_format` convert the rows
    cached: bool
    is_table: bool
    has_opencv: bool

    def __str__(self) -> str:
        return (
            f"{self.num_workers} thread{'s' * (self.num_workers != 1)} on {self.num_cores} "
            f"core{'s' * (self.num_cores != 1)}, batches of {self.batch_size}, {self.batches_ahead} of them ahead, "
            f"at most {format_bytes(self.memory_bytes)} in flight, {'a' if self.cached else 'no'} cache"
        )


@dataclass(frozen=True, repr=False)
class Profile:
    """Where the time per batch goes. It prints as a table.

    Attributes:
        num_batches: Number of timed batches.
        num_samples: Number of samples in these batches.
        seconds: Time from asking for the first batch to receiving the last one.
        seconds_per_batch: Dictionary from stage to seconds. `"reading"`, `"decoding"`, `"resizing"`, `"transform"` and
            `"assembling"` (and `"storing"` while a cache fills) are summed over the threads. `"waiting"` is the time
            that a model without work of its own waits for a batch.
        settings: Settings of the Sequence.
    """

    num_batches: int
    num_samples: int
    seconds: float
    seconds_per_batch: dict[str, float]
    settings: Settings

    @property
    def samples_per_second(self) -> float:
        """Number of samples per second that the Sequence can deliver."""
        return self.num_samples / self.seconds

    @property
    def shares(self) -> dict[str, float]:
        """Share of each stage in the work of all threads, from 0 to 1."""
        stages = {stage: seconds for stage, seconds in self.seconds_per_batch.items() if stage != "waiting"}
        work = sum(stages.values())
        return {stage: seconds / work if work else 0.0 for stage, seconds in stages.items()}

    @property
    def advice(self) -> list[str]:
        """List of sentences about what would help, the most useful first. The last one says when nothing would."""
        by_saving = sorted(_remedies(self), key=lambda remedy: -remedy[0])
        advice = [words for saving, words in by_saving if saving >= STANDS_OUT][:MOST_ADVICE]
        speed = f"{self.samples_per_second:,.0f} samples/s"
        limit = f"If training is slower than {speed}, the model is the limit, not the loading."
        return [*advice, limit] if advice else [f"Nothing stands out. {limit}"]

    def __repr__(self) -> str:  # short: `profile()` in the last line of a cell has printed the table
        return f"<Profile: {self.samples_per_second:,.0f} samples/s>"

    def __str__(self) -> str:
        shares = {stage: f"{share:>14.0%}" for stage, share in self.shares.items()}
        return "\n".join(
            [
                f"{self.num_batches:,} batch{'es' * (self.num_batches != 1)}, {self.num_samples:,} samples in "
                f"{self.seconds:,.2f} s: {self.samples_per_second:,.0f} samples/s",
                "",
                f"  {'stage':<12}{'ms/batch':>12}{'of the work':>14}",
                *(
                    f"  {stage:<12}{1000 * seconds:>12,.2f}{shares.get(stage, '')}"
                    for stage, seconds in self.seconds_per_batch.items()
                ),
                "",
                f"  {self.settings}",
                "  Stages are summed over threads. Waiting is that of a model without work of its own.",
                "",
                *self.advice,
            ]
        )


def measure(pipeline: Pipeline, max_queue_size: int, epoch: int, num_batches: int, warm_up: int) -> Profile:
    """Make batches as fast as possible with the settings of a pipeline, and time them. The pipeline stays unchanged.

    Args:
        pipeline: The pipeline whose settings are used.
        max_queue_size: Argument of the Sequence.
        epoch: Epoch of the first batch.
        num_batches: Number of batches to time. If one job makes several batches, a few more are timed.
        warm_up: Number of batches to make before them, without timing.
    """
    maker, loader = pipeline.maker, pipeline.loader
    settings = Settings(
        batch_size=maker.options.batch_size,
        num_workers=loader.num_workers,
        num_cores=num_cpus(),
        batches_ahead=pipeline.budget.max_ahead if loader.num_workers else 0,
        max_queue_size=max_queue_size,
        batch_bytes=maker.format.batch_bytes,
        memory_bytes=maker.pool.keep * maker.pool.buffer_bytes
        + max(1, loader.num_workers) * maker.format.scratch_bytes,
        shuffle=maker.options.shuffle,
        converts=maker.format.converts,
        cached=maker.source.cached,
        is_table=maker.source.groups_batches,
        has_opencv=find_spec("cv2") is not None,
    )
    stopwatch = Stopwatch()
    first = epoch * maker.num_jobs
    warm_up, num_jobs = (-(-number // maker.batches_per_job) for number in (warm_up, num_batches))
    counted = range(first + warm_up, first + warm_up + num_jobs)

    def make_job(number: int):
        return TimedJob(maker, number, stopwatch) if number in counted else maker.job(number)

    with BatchLoader(make_job, loader.num_workers, loader.max_ahead) as apart:
        for number in range(first, counted.start):
            apart.load(number)  # unlike `get`, it starts no other batches, so none is made before the clock starts
        started = perf_counter()
        for number in counted:
            apart.get(number)
        seconds = perf_counter() - started
    jobs = [maker.job(number) for number in counted]
    num_batches, num_samples = sum(job.num_batches for job in jobs), sum(job.num_rows for job in jobs)
    stages = [*STAGES, *sorted(set(stopwatch.seconds) - set(STAGES))]
    per_batch = {stage: stopwatch.seconds[stage] / num_batches for stage in stages}
    return Profile(num_batches, num_samples, seconds, {**per_batch, "waiting": seconds / num_batches}, settings)


class TimedJob:
    """A job that is timed with a stopwatch."""

    def __init__(self, maker: BatchMaker, number: int, stopwatch: Stopwatch):
        self.stopwatch = stopwatch
        with stopwatch.running("assembling"):
            self.job = maker.job(number)
        self.num_rows = self.job.num_rows
        self.rows_per_task = self.job.rows_per_task

    def fill(self, start: int, stop: int) -> None:
        with self.stopwatch.running("assembling"):
            self.job.fill(start, stop)

    def prefetch_next(self) -> None:
        with self.stopwatch.running("assembling"):
            self.job.prefetch_next()

    def finish(self) -> Any:
        with self.stopwatch.running("assembling"):
            return self.job.finish()


def _remedies(profile: Profile) -> Iterator[tuple[float, str]]:
    """Yield what might help: a rough share of the time per batch that it saves, and a sentence."""
    shares, settings = profile.shares, profile.settings
    yield from _thread_remedies(settings)
    decoding, resizing = shares["decoding"], shares["resizing"]
    pixels = f"Decoding and resizing take {decoding + resizing:.0%} of the work."
    if settings.cached:
        yield decoding + resizing, f"{pixels} The cache does not have these rows yet: profile again after an epoch."
    else:
        yield decoding + resizing, f'{pixels} cache="DIR" does both once; later epochs read rows.'
    parsing = shares.get("parsing", 0.0)
    yield parsing, f'Parsing takes {parsing:.0%} of the work. cache="DIR" does it once; later epochs read rows.'
    if not settings.has_opencv:
        yield decoding / 2, "OpenCV decodes faster than Pillow: pip install 'keras_oocore[fast]'"
    yield (
        resizing / 2,
        f"Resizing takes {resizing:.0%} of the work. A smaller image_size is resized faster, and "
        'interpolation="bilinear" is the fastest.',
    )
    memory_seconds = (settings.batch_bytes + settings.batch_size * ROW_BYTES) / MEMORY_BYTES
    from_memory = not shares["decoding"] and profile.seconds_per_batch["reading"] < memory_seconds
    if shares["reading"] >= 0.5 and not from_memory:
        yield shares["reading"], _reading_remedy(shares, settings)
    yield (
        shares["transform"],
        f"`transform` takes {shares['transform']:.0%} of the work. Layers in the model, such as "
        "keras.layers.RandomFlip, do it on the accelerator.",
    )
    if settings.converts:
        yield (
            shares["assembling"],
            f"Assembling takes {shares['assembling']:.0%} of the work. Without rescale, dtype and data_format, rows "
            "are not converted. Use a layer in the model instead, such as keras.layers.Rescaling(1 / 255).",
        )


def _thread_remedies(settings: Settings) -> Iterator[tuple[float, str]]:
    workers, cores, ahead = settings.num_workers, settings.num_cores, settings.batches_ahead
    remedy = f"workers={cores} (or leave it out)"
    if workers == 0:
        yield 1.0, f"There is no loading thread: the model waits while a batch is made. Pass {remedy}."
    elif workers < cores:
        yield 1 - workers / cores, f"Only {workers} of {cores} cores load{'s' * (workers == 1)}: {remedy}."
    if workers and ahead < 2:
        if ahead == settings.max_queue_size:
            remedy = f"max_queue_size={ENOUGH_AHEAD}"
        else:
            more_batches = min(ENOUGH_AHEAD, settings.max_queue_size) - ahead
            limit_mb = -(-(settings.memory_bytes + more_batches * settings.batch_bytes) // 10**6)
            remedy = f'memory_limit="{limit_mb}MB"'
        if ahead == 0:
            yield 0.5, f"No batch is made ahead: training and loading take turns. {remedy} or more lets them overlap."
        else:
            yield 0.25, f"One batch is made ahead: a slow batch delays training. {remedy} or more evens that out."


def _reading_remedy(shares: dict[str, float], settings: Settings) -> str:
    remedies = ["a faster disk"]
    if shares["decoding"] and not settings.cached:
        remedies.append('cache="DIR" on a faster disk')
    if settings.shuffle is True and not settings.is_table:
        remedies.append('shuffle="block" on a disk that seeks slowly')
    return (
        f"Reading takes {shares['reading']:.0%} of the work: the disk is the limit, or your own `reader`. "
        f"What helps: {', '.join(remedies)}."
    )
