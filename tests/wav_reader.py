"""Sounds for a model: a `.wav` file as the logarithm of its mel spectrogram, with numpy and the standard library.

A reader for `NpyManifestSequence`. Every file must give an array of the same shape, so cut or pad them to one length:

    import keras_oocore as ko
    from wav_reader import log_mel

    batches = ko.NpyManifestSequence("filenames.npy", "labels.npy", directory="sounds", reader=log_mel, batch_size=32)
    model.fit(batches)
"""

import functools
import wave

import numpy as np

FRAME = 512  # samples in a frame
HOP = 256  # from the start of one frame to the next
MELS = 32


def log_mel(path: str) -> np.ndarray:
    """A `float32` array `(frames, mels)` of a `.wav` file of 16-bit samples; several channels are averaged.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".wav") as temporary:
    ...     with wave.open(temporary.name, "wb") as file:
    ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
    ...         file.writeframes(np.zeros(2048, "<i2").tobytes())
    ...     log_mel(temporary.name).shape
    (7, 32)
    """
    with wave.open(path) as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"expected 16-bit samples. Received: {8 * file.getsampwidth()}-bit samples")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        filters = mel_filters(file.getframerate())
    signal = samples.mean(axis=1) / 2**15
    frames = np.lib.stride_tricks.sliding_window_view(signal, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log(power @ filters + 1e-6).astype("float32")


@functools.cache
def mel_filters(rate: int) -> np.ndarray:
    """Triangles over the frequencies of a frame, `(FRAME // 2 + 1, MELS)`; `rate` in samples a second."""
    low, middle, high = (mel_edges(rate)[start : start + MELS] for start in range(3))
    frequencies = np.fft.rfftfreq(FRAME, 1 / rate)[:, np.newaxis]
    return np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)).clip(min=0)


def mel_edges(rate: int) -> np.ndarray:
    """`MELS + 2` frequencies in hertz, evenly spaced on the mel scale (O'Shaughnessy, 1987) up to half the rate."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    return 700 * (10 ** (np.linspace(0, highest, MELS + 2) / 2595) - 1)
