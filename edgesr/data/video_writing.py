"""Enlarged frames → a video file, each at its time, with the sound of the original, whole or not at all.

H.264 and VP9 store the colour of 2x2 pixels once (4:2:0), in 8 bits, in a matrix and range that the file
names, so that no player has to guess.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.data import video as reading
from edgesr.data.images import Levels, Picture
from edgesr.data.video import Video
from edgesr.errors import UserError
from edgesr.files import replacing

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_H264, _VP9 = "libx264", "libvpx-vp9"
_LIMITED = 1
"""H.273: luma from 16 to 235."""


@dataclass(frozen=True)
class VideoFormat:
    """How videos of one suffix are written."""

    container: str
    opaque: str
    """Encoder."""
    transparent: str | None
    longest: int = 16_384
    pixels: int = 2**26
    """Of one frame: the encoder holds a handful of them."""

    def encoder(self, transparent: bool) -> str:
        """Its name in FFmpeg; `check_video` has seen that there is one."""
        return (transparent and self.transparent) or self.opaque


_MP4 = VideoFormat("mp4", _H264, None)
VIDEO_FORMATS = {
    ".m4v": _MP4,
    ".mkv": VideoFormat("matroska", _H264, _VP9),
    ".mov": VideoFormat("mov", _H264, None),
    ".mp4": _MP4,
    ".webm": VideoFormat("webm", _VP9, _VP9),
}
_ENCODERS = {
    # no frame waits for another: memory stays that of one, and a frame is decoded when it is shown
    _H264: {"crf": "17", "preset": "medium", "tune": "zerolatency"},
    _VP9: {"crf": "18", "b": "0", "cpu-used": "4", "lag-in-frames": "0", "auto-alt-ref": "0"},
}


def check_video(video: Video, out: Path, size: tuple[int, int]) -> VideoFormat:
    """The format of `out`, once it is known to hold frames of `size` (height, width) and the sound.

    UserError for an unknown suffix, too large frames, transparency or sound that it cannot keep.
    """
    form, name = video_format(out), video.path.name
    if max(size) > form.longest or size[0] * size[1] > form.pixels:
        raise UserError(
            f"{out}: frames of {size[1]}x{size[0]} are too large. A side may have {form.longest} pixels "
            f"here and a frame {form.pixels / 1e6:.0f} megapixels. Choose a smaller --scale."
        )
    if video.transparent and form.transparent is None:
        raise UserError(f"{name} is transparent; {out.suffix} cannot keep that. Choose .webm or .mkv.")
    if video.sound is not None and not _holds(form, video.sound):
        able = [suffix for suffix, other in VIDEO_FORMATS.items() if _holds(other, video.sound)]
        without = f"Take it out with `ffmpeg -i {name} -c copy -an OUT`"
        cure = f"Choose {' or '.join(able)}" if able else without
        raise UserError(f"{name} has {video.sound} sound, which {out.suffix} cannot hold. {cure}.")
    return form


def video_format(path: Path) -> VideoFormat:
    """The format that `path` will be written in; UserError naming the known suffixes if none."""
    form = VIDEO_FORMATS.get(path.suffix.lower())
    if form is None:
        raise UserError(f"{path}: videos are written as {', '.join(VIDEO_FORMATS)}. Choose one of them.")
    return form


def stored_size(form: VideoFormat, video: Video, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the frames of a file, for those of `size`: H.264 has even sides here."""
    return (
        (size[0] + size[0] % 2, size[1] + size[1] % 2)
        if form.encoder(video.transparent) == _H264
        else size
    )


def write_video(
    video: Video, out: Path, enlarge: Callable[[Picture], Levels], *, overwrite: bool = True
) -> int:
    """Write a video of what `enlarge` makes of each frame, 8-bit (H,W,3|4); the number of frames.

    Each is shown when its original is, to the tick of the file written: 1 ms in .webm and .mkv. Sound is
    copied. Where H.264 needs even sides, the last row or column is there twice. One frame is held at a
    time. `out` is written whole or not at all; FileExistsError if it is there unless `overwrite`.
    UserError for a video that turns out to be damaged.
    """
    import av

    form, count = video_format(out), 0
    with (
        replacing(out, overwrite=overwrite) as temporary,
        reading.opened_video(video.path) as source,
        av.open(f"file:{temporary}", "w", form.container) as target,
    ):
        writer = _Writer(target, *reading.tracks(source), form.encoder(video.transparent))
        for part in reading.parts(source, video.path):
            if isinstance(part, tuple):
                frame, picture = part
                writer.write(enlarge(picture), frame)
                count += 1
            else:
                writer.copy(part)
        writer.close()
    return count


class _Writer:
    """The tracks of a file that is being written; it opens with the first frame."""

    def __init__(
        self, target: "OutputContainer", source: "VideoStream", sound: Any, encoder: str
    ) -> None:
        self.target, self.source, self.encoder = target, source, encoder
        rate = source.guessed_rate or 25
        self.track: Any = target.add_stream(encoder, rate=rate, options=_ENCODERS[encoder])
        self.sound = None if sound is None else target.add_stream_from_template(sound)
        self.waiting: list[Packet] = []
        """Sound that came before the first frame."""
        self.last: int | None = None

    def copy(self, packet: "Packet") -> None:
        """Write a packet of sound as it is."""
        packet.stream = self.sound
        if self.last is None:
            self.waiting.append(packet)
        else:
            self.target.mux(packet)

    def write(self, levels: Levels, frame: "VideoFrame") -> None:
        """Encode what became of `frame`, at its time."""
        from av import VideoFrame

        if self.encoder == _H264:
            levels = np.pad(
                levels, ((0, levels.shape[0] % 2), (0, levels.shape[1] % 2), (0, 0)), mode="edge"
            )
        matrix = reading.matrix(frame)
        if self.last is None:
            self._open(levels, frame, matrix)
        kind = "rgba" if levels.shape[2] == 4 else "rgb24"
        rgb = VideoFrame.from_ndarray(np.ascontiguousarray(levels), kind)
        large = rgb.reformat(
            format=self.track.pix_fmt,
            dst_colorspace=reading.to_sws(matrix),
            src_color_range=reading.FULL,
            dst_color_range=_LIMITED,
            interpolation=reading.chroma_filter(),
        )
        large.pts, large.duration = self._time(frame), frame.duration
        large.time_base = self.track.codec_context.time_base
        self.target.mux(self.track.encode(large))
        self.target.mux(self.waiting)
        self.waiting = []

    def close(self) -> None:
        """Write what the encoder holds back."""
        self.target.mux(self.track.encode(None))

    def _open(self, levels: Levels, frame: "VideoFrame", matrix: int) -> None:
        from av.codec.context import Flags

        context: VideoCodecContext = self.track.codec_context
        self.track.pix_fmt = "yuva420p" if levels.shape[2] == 4 else "yuv420p"
        self.track.height, self.track.width = levels.shape[:2]
        if self.source.time_base is not None:
            self.track.time_base = context.time_base = self.source.time_base
        context.flags |= Flags.frame_duration
        context.colorspace, context.color_range = matrix, _LIMITED
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        shape = self.source.sample_aspect_ratio
        if shape:
            context.sample_aspect_ratio = 1 / shape if reading.turned(frame) else shape

    def _time(self, frame: "VideoFrame") -> int:
        """That of the original; a frame that names none, or one that is past, follows at once."""
        step = max(1, frame.duration or 0)
        after = 0 if self.last is None else self.last + 1
        at = frame.pts if frame.pts is not None else after + step - 1
        self.last = at if self.last is None else max(at, after)
        return self.last


def _holds(form: VideoFormat, sound: str) -> bool:
    """Whether a container can hold sound of a codec."""
    import io

    import av

    return sound in av.open(io.BytesIO(), "w", form.container).supported_codecs
