"""Short videos as pictures: frame by frame, upright, in RGB, each with its time.

FFmpeg does the work, which the package `av` (PyAV) brings along. Files come from anywhere, so FFmpeg is
held to containers that hold their own content: no playlist, no network, no other file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.data.formats import WHOLE
from edgesr.data.images import Levels, Picture
from edgesr.errors import UserError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

VIDEOS = frozenset([".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"])
"""Suffixes of files that are taken for videos."""

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf"
_SAFE = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
_STRICT = {"err_detect": "explode", "max_pixels": str(WHOLE)}
"""A decoder is to say what is damaged, not to paint over it, and to refuse what no memory holds."""
_WITH_ALPHA = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""FFmpeg's own decoders of these drop transparency; the other ones do not."""
_PATIENCE = 0.5
"""Seconds that the last packet may end before the file says that it ends."""

_RGB, _BT709, _UNKNOWN, _BT601 = 0, 1, 2, 6
_MATRICES = {_RGB, _BT709, _UNKNOWN, 4, 5, _BT601, 7, 9}
"""Of ITU-T H.273, those that FFmpeg converts."""
_HDR = {16: "PQ", 18: "HLG"}
_SWS_BT601 = 5
_HD = 720
"""Lines from which on a video that does not name its matrix is taken to mean BT.709, as players do."""
FULL = 2
"""H.273: levels from 0 to 255."""


@dataclass(frozen=True)
class Video:
    """What a file holds, read from it without decoding more than one frame."""

    path: Path
    size: tuple[int, int]
    """Height and width, upright."""
    frames: int
    seconds: float
    transparent: bool
    sound: str | None
    """Codec of the first sound track."""
    left_out: tuple[str, ...]
    """Kinds of the other tracks."""


def read_video(path: Path) -> Video:
    """Look a video through. UserError where it is missing, none, damaged, cut short, or HDR."""
    with opened_video(path) as container, _refused(path):
        stream, sound = tracks(container)
        left_out = tuple(one.type for one in container.streams if one not in (stream, sound))
        count, begin, end = _survey(container, stream)
        codec = None if sound is None else sound.codec_context.codec.canonical_name
    with opened_video(path) as container:
        first = next((part for part in parts(container, path) if isinstance(part, tuple)), None)
        if first is None:
            raise UserError(f"{path} holds no frame of a video.")
        picture = first[1]
        transparent = picture.opacity is not None
        return Video(path, picture.size, count, float(end - begin), transparent, codec, left_out)


def _survey(container: "InputContainer", stream: "VideoStream") -> tuple[int, Fraction, Fraction]:
    """Packets of the pictures; where all begins and ends, in seconds. ValueError if cut short."""
    count, end = 0, Fraction(0)
    for packet in container.demux():
        count += packet.stream is stream and packet.size > 0
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    begin = Fraction(container.start_time or 0, 1_000_000)
    promised = Fraction(container.duration or 0, 1_000_000) + begin
    listed = stream.frames if "mp4" in container.format.name else 0  # AVI lists those it left out, too
    if count < listed or promised - end > _PATIENCE:
        raise ValueError(f"it ends after {float(end):.1f} of {float(promised):.1f} seconds")
    return count, begin, end


@contextmanager
def opened_video(path: Path) -> Iterator["InputContainer"]:
    """A video file, known to be there and to be one."""
    if not path.is_file():
        raise UserError(f"{path} is no file. Check the path.")
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"Reading {path.name} needs PyAV ({error}): pip install 'edgesr[video]'"
        ) from error
    with _refused(path):
        container = av.open(f"file:{path}", "r", container_options=_SAFE, metadata_errors="replace")
    with container:
        yield container


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What FFmpeg finds wrong with a file is a UserError, input and output errors of reading too."""
    from av.error import FFmpegError

    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except PermissionError:
        raise UserError(f"{path} may not be read. Check its permissions.") from None
    except (FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} could not be read as a video: {said}. It may be cut short or damaged; "
            "fetch or export it again."
        ) from error


def tracks(container: "InputContainer") -> "tuple[VideoStream, Any]":
    """The first track of moving pictures and the first of sound."""
    from av.stream import Disposition

    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise ValueError("it has no pictures that move")
    known = [one for one in container.streams.audio if _known(one)]
    if not _known(moving[0]):
        raise ValueError("its codec is not known")
    return moving[0], next(iter(known), None)


def _known(stream: Any) -> bool:
    """Whether FFmpeg has a decoder for a track: PyAV gives it no context otherwise."""
    return stream.codec_context is not None


def parts(container: "InputContainer", path: Path) -> "Iterator[Packet | tuple[VideoFrame, Picture]]":
    """Packets of sound as they come, and frames, also as pictures, in the order in which they are shown.

    UserError where one is damaged, of another size than the first, or of colours not understood.
    """
    with _refused(path):
        stream, sound = tracks(container)
        context, size = _decoder(stream), None
        for packet in container.demux([one for one in (stream, sound) if one is not None]):
            if packet.stream is not stream:
                if packet.dts is not None:  # the end of the track has none
                    yield packet
                continue
            if packet.is_corrupt:
                raise ValueError("a part of it is missing")
            for frame in context.decode(packet if packet.size else None):
                picture = _to_picture(frame)
                if frame.is_corrupt or picture.size != (size or picture.size):
                    what = "damaged" if frame.is_corrupt else "of another size than the first"
                    raise ValueError(f"its frame at {float(frame.time or 0):.2f} seconds is {what}")
                size = picture.size
                yield frame, picture


def _decoder(stream: "VideoStream") -> "VideoCodecContext":
    from av import CodecContext

    context: Any = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and context.name in _WITH_ALPHA:
        context = CodecContext.create(_WITH_ALPHA[context.name], "r")
        context.extradata = stream.codec_context.extradata
    context.options = _STRICT
    return context


def _to_picture(frame: "VideoFrame") -> Picture:
    """RGB and perhaps alpha, upright. UserError for colours that 8 bits of RGB do not hold."""
    if frame.color_trc in _HDR:
        raise UserError(
            f"it is HDR ({_HDR[frame.color_trc]}), and 8 bits would lose its range. Make an SDR copy."
        )
    if frame.colorspace not in _MATRICES:
        raise UserError(
            f"its colours are in matrix {frame.colorspace} of H.273, which is not understood."
        )
    transparent = any(component.is_alpha for component in frame.format.components)
    rgb = frame.reformat(
        format="rgba" if transparent else "rgb24",
        src_colorspace=None if frame.colorspace == _RGB else to_sws(matrix(frame)),
        dst_color_range=FULL,
        interpolation=chroma_filter(),
    )
    levels = _upright(rgb.to_ndarray(), frame)
    return Picture(levels[:, :, :3], levels[:, :, 3:] if transparent else None)


def matrix(frame: "VideoFrame") -> int:
    """By which RGB is meant by YCbCr, as H.273 numbers it: that of the file, or what players assume."""
    if frame.colorspace in (_RGB, _UNKNOWN):
        return _BT709 if frame.height >= _HD else _BT601
    return frame.colorspace


def to_sws(matrix: int) -> int:
    """The number of the same matrix in libswscale, which has one for both BT.601 of H.273."""
    return _SWS_BT601 if matrix == _BT601 else matrix


def chroma_filter() -> int:
    """Of chroma, and how carefully numbers are rounded."""
    from av.video.reformatter import Interpolation as Way

    return Way.BICUBIC | Way.ACCURATE_RND | Way.FULL_CHR_H_INT | Way.FULL_CHR_H_INP


def _display(frame: "VideoFrame") -> tuple[int, int, int, int]:
    """The signs of a, b, c, d of its display matrix: pixel (x, y) is shown at (ax + cy, bx + dy)."""
    held: Any = frame.side_data.get("DISPLAYMATRIX")
    if held is None:
        return 1, 0, 0, 1
    numbers = np.sign(np.frombuffer(bytes(held), np.int32)[[0, 1, 3, 4]])
    a, b, c, d = (int(sign) for sign in numbers)
    if ((a or d) and (b or c)) or a * d == b * c:
        raise UserError("it is to be shown turned by another angle than quarters. Turn it first.")
    return a, b, c, d


def turned(frame: "VideoFrame") -> bool:
    """Whether its rows are shown as columns."""
    return _display(frame)[0] == 0


def _upright(levels: Levels, frame: "VideoFrame") -> Levels:
    a, b, c, d = _display(frame)
    if a == 0:
        levels, right, down = levels.swapaxes(0, 1), c, b
    else:
        right, down = a, d
    return levels[::down, ::right]
