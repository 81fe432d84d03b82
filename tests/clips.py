"""Videos of a few small frames, made by PyAV for the tests."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

TIMES = (0, 40, 140, 150, 1000)
"""Milliseconds at which the frames of a clip of variable rate are shown; the last lasts 250."""


def pictures(count: int, height: int, width: int, channels: int = 3) -> list[np.ndarray]:
    """Smooth ones, each another: half of what codecs do is for edges."""
    rows, columns = np.mgrid[0 : height - 1 : height * 1j, 0 : width - 1 : width * 1j]
    made = []
    for index in range(count):
        waves = [
            rows * 200 / height + 20,
            columns * 200 / width + 20,
            (rows + columns) % 64 + 20 * index,
        ]
        waves.append(255 - rows * 255 / height)
        made.append(np.stack(waves[:channels], axis=2).clip(0, 255).astype(np.uint8))
    return made


def save_clip(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    times: Sequence[int] = TIMES,
    codec: str = "libx264",
    kind: str = "yuv420p",
    tags: dict[str, int] | None = None,
    matrix: tuple[int, bool] = (5, False),
    rotation: dict[str, Any] | None = None,
    sound: str | None = None,
    options: dict[str, str] | None = None,
    tick: Fraction = Fraction(1, 1000),
) -> Path:
    """`matrix` is the one of libswscale by which RGB becomes `kind`, and whether its range is full."""
    frames = list(frames)
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream(codec, rate=25, options=options or {})
        track.height, track.width = frames[0].shape[:2]
        track.pix_fmt, context = kind, track.codec_context
        track.time_base = context.time_base = tick
        context.flags |= Flags.frame_duration
        context.thread_count = 1
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        if rotation is not None:
            track.set_display_rotation(**rotation)
        heard = None if sound is None else container.add_stream(sound, rate=48_000)
        for index, (picture, time) in enumerate(zip(frames, times, strict=False)):
            form = "rgba" if picture.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), form).reformat(
                format=kind,
                dst_colorspace=matrix[0],
                src_color_range=2,
                dst_color_range=1 + matrix[1],
                interpolation=0x4 | 0x40000 | 0x2000 | 0x4000,
            )
            later = times[index + 1] if index + 1 < len(times) else time + 250
            frame.pts, frame.duration = (int(ms / (1000 * tick)) for ms in (time, later - time))
            frame.time_base = tick
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        if heard is not None:
            _hear(container, heard, times[len(frames) - 1])
    return path


def _hear(container: Any, track: Any, milliseconds: int) -> None:
    size = track.codec_context.frame_size or 960
    for start in range(0, 48 * milliseconds + 1, size):
        wave = np.sin(np.arange(start, start + size) / 20).astype(np.float32)
        kind = track.codec_context.format.name
        samples = wave if "flt" in kind else (32_000 * wave).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            samples[None], format=kind if "flt" in kind else "s16", layout="mono"
        )
        frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def times_of(path: Path) -> list[float]:
    """Milliseconds at which the frames of a file are shown."""
    with av.open(str(path)) as container:
        return [round(1000 * float(frame.time), 3) for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    """The packets of its sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
