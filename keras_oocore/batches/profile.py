"""Where the time per batch goes, as a table, and advice on which setting would help."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from keras_oocore.core import html
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted

STAGES = ("reading", "decoding", "resizing", "transform", "assembling")  # "assembling" is the rest of the work
ENOUGH_AHEAD = 4  # this number of batches ahead evens out fast and slow batches
STANDS_OUT = 0.2  # advice is given if it saves this share of the time per batch
MOST_ADVICE = 2  # the largest number of sentences
MEMORY_BYTES = 5e8  # per second; rows that a thread reads faster than this come from memory, not from a disk
ONE_CORE = (0.7, 1.25)  # of the cores, used by threads that take turns
TAKING_TURNS = 1.6  # at least this many threads must be at work on average to say so
COMPUTING = 0.5  # a stage whose threads use less of their time is waiting for a disk
MORE_WORKERS = 4  # per core, if threads wait for a disk
ROW_BYTES = 64  # finding a row in memory takes as long as reading this many bytes
HOW_TO_READ = "Stages are summed over threads. Waiting is that of a model without work of its own."


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
    can_shuffle_blocks: bool  # whether `shuffle="block"` is possible
    has_opencv: bool
    cacheable: bool = False

    def __str__(self) -> str:
        return (
            f"{counted(self.num_workers, 'thread')} on {counted(self.num_cores, 'core')}, "
            f"batches of {self.batch_size}, {self.batches_ahead} of them ahead, "
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
        cpu_seconds_per_batch: As `seconds_per_batch`, only the time in which a core worked for the thread. The rest is
            waiting, such as for a disk or for the lock of the interpreter.
        errors: Messages of the batches that could not be made, which are not counted.
    """

    num_batches: int
    num_samples: int
    seconds: float
    seconds_per_batch: dict[str, float]
    settings: Settings
    cpu_seconds_per_batch: dict[str, float] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    _cell: int | None = field(default_factory=html.running_cell, init=False, compare=False)  # the one that printed it

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
    def num_cores_used(self) -> float:
        """Number of cores that the threads kept busy on average."""
        return sum(self.cpu_seconds_per_batch.values()) / self.seconds_per_batch["waiting"]

    @property
    def num_threads_at_work(self) -> float:
        """Number of threads that had work on average, including those that waited for a disk or for a lock."""
        work = sum(seconds for stage, seconds in self.seconds_per_batch.items() if stage != "waiting")
        return work / self.seconds_per_batch["waiting"]

    @property
    def takes_turns(self) -> bool:
        """Whether several threads used one core together, as those do that need the lock of the interpreter."""
        if not self.cpu_seconds_per_batch or self.settings.num_cores == 1:
            return False
        at_least, at_most = ONE_CORE
        return at_least <= self.num_cores_used <= at_most and self.num_threads_at_work >= TAKING_TURNS

    @property
    def waits_for_disk(self) -> bool:
        """Whether the threads spent most of the time of reading without a core."""
        cpu_seconds = self.cpu_seconds_per_batch.get("reading")
        return cpu_seconds is not None and cpu_seconds < COMPUTING * self.seconds_per_batch["reading"]

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
        return "\n".join(
            [
                self._headline,
                *_error_lines(self.errors),
                "",
                f"  {'stage':<12}{'ms/batch':>12}{'of the work':>14}",
                *(f"  {stage:<12}{time:>12}{share and f'{share:>14}'}" for stage, time, share in self._rows),
                "",
                f"  {self.settings}",
                f"  {HOW_TO_READ}",
                "",
                *self.advice,
            ]
        )

    @html.never_raising
    def _repr_html_(self) -> str | None:
        if self._cell is not None and self._cell == html.running_cell():
            return None  # `profile()` has printed the table into this cell
        rows = [(*row, html.bar(self.shares.get(row[0], 0.0))) for row in self._rows]
        return html.page(
            html.heading("Profile", self._headline),
            *map(html.note, _error_lines(self.errors)),
            html.table(("stage", "ms/batch", "of the work", ""), rows, numbers=(1, 2)),
            html.note(f"{self.settings}. {HOW_TO_READ}"),
            *map(html.note, self.advice),
        )

    @property
    def _headline(self) -> str:
        return (
            f"{counted(self.num_batches, 'batch')}, {self.num_samples:,} samples in "
            f"{self.seconds:,.2f} s: {self.samples_per_second:,.0f} samples/s"
        )

    @property
    def _rows(self) -> list[tuple[str, str, str]]:
        """Each stage that takes time: its name, milliseconds per batch, and share of the work, if it has one."""
        shares = {stage: f"{share:.0%}" for stage, share in self.shares.items()}
        return [
            (stage, f"{1000 * seconds:,.2f}", shares.get(stage, ""))
            for stage, seconds in self.seconds_per_batch.items()
            if shares.get(stage) != "0%"
        ]


def _error_lines(errors: tuple[str, ...]) -> list[str]:
    if not errors:
        return []
    are = "is" if len(errors) == 1 else "are"
    return [f"{counted(len(errors), 'batch')} could not be made and {are} not counted: {errors[0]}"]


def _remedies(profile: Profile) -> Iterator[tuple[float, str]]:
    """Yield what might help: a rough share of the time per batch that it saves, and a sentence."""
    shares, settings = profile.shares, profile.settings
    stands_out = max(shares["reading"], shares["transform"]) >= 0.5
    more_threads_help = not (stands_out and profile.takes_turns)
    waits = shares["reading"] >= 0.5 and profile.waits_for_disk  # the advice about the disk asks for even more threads
    yield from _thread_remedies(settings, more_threads_help and not waits)
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
        yield shares["reading"], _reading_remedy(profile)
    takes = f"`transform` takes {shares['transform']:.0%} of the work"
    if profile.takes_turns and shares["transform"] >= 0.5:
        takes += f", and {_turns(profile)}"
    layers = "Layers in the model, such as keras.layers.RandomFlip, do it on the accelerator."
    yield shares["transform"], f"{takes}. {layers}"
    if settings.converts:
        yield (
            shares["assembling"],
            f"Assembling takes {shares['assembling']:.0%} of the work. Without rescale, dtype and data_format, rows "
            "are not converted. Use a layer in the model instead, such as keras.layers.Rescaling(1 / 255).",
        )


def _thread_remedies(settings: Settings, more_threads_help: bool) -> Iterator[tuple[float, str]]:
    workers, cores, ahead = settings.num_workers, settings.num_cores, settings.batches_ahead
    remedy = f"workers={cores} (or leave it out)"
    if workers == 0:
        yield 1.0, f"There is no loading thread: the model waits while a batch is made. Pass {remedy}."
    elif workers < cores and more_threads_help:
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


def _turns(profile: Profile) -> str:
    settings = profile.settings
    return (
        f"{settings.num_workers} threads use {profile.num_cores_used:.1f} of {settings.num_cores} cores, because "
        "Python code holds the lock of the interpreter"
    )


def _reading_remedy(profile: Profile) -> str:
    shares, settings = profile.shares, profile.settings
    takes = f"Reading takes {shares['reading']:.0%} of the work"
    can_cache = settings.cacheable and not settings.cached
    if profile.takes_turns:
        remedies = ["a `reader` that calls NumPy or another library, which releases the lock"]
        remedies += ['cache="DIR", which calls `reader` once per file'] * can_cache
        return f"{takes}, and {_turns(profile)}. What helps: {', or '.join(remedies)}. More threads do not."
    if profile.waits_for_disk:
        waiting = 1 - profile.cpu_seconds_per_batch["reading"] / profile.seconds_per_batch["reading"]
        takes += f", and {waiting:.0%} of that is waiting for the disk"
        workers = MORE_WORKERS * settings.num_cores
        remedies = [f"workers={workers}, to read more files at a time"] * (0 < settings.num_workers < workers)
        remedies += ["a faster disk"]
    else:
        takes += ": the disk is the limit, or your own `reader`"
        remedies = ["a faster disk"]
    if can_cache or (shares["decoding"] and not settings.cached):
        remedies.append('cache="DIR" on a faster disk')
    if settings.shuffle is True and settings.can_shuffle_blocks:
        remedies.append('shuffle="block" on a disk that seeks slowly')
    return f"{takes}. What helps: {', '.join(remedies)}."
