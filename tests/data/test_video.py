"""Videos keep their frames, times, colours, transparency and sound, or are refused in words."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgesr.data.images import Picture
from edgesr.data.video import Video, opened_video, parts, read_video
from edgesr.data.video_writing import check_video, write_video
from edgesr.errors import UserError
from tests.clips import TIMES, pictures, save_clip, sound_of, times_of


def levels(picture: Picture) -> np.ndarray:
    parts = [picture.colour] if picture.opacity is None else [picture.colour, picture.opacity]
    return np.concatenate(parts, axis=2)


def read(path: Path) -> list[np.ndarray]:
    with opened_video(path) as container:
        return [levels(part[1]) for part in parts(container, path) if isinstance(part, tuple)]


def doubled(picture: Picture) -> np.ndarray:
    return levels(picture).repeat(2, 0).repeat(2, 1)


def copied(source: Path, out: Path, enlarge: Any = doubled, scale: int = 2) -> Video:
    """`out` as it is read back."""
    video = read_video(source)
    check_video(video, out, (scale * video.size[0], scale * video.size[1]))
    assert write_video(video, out, enlarge) == video.frames
    return read_video(out)


def near(found: np.ndarray, expected: np.ndarray, most: float = 3) -> None:
    assert found.shape == expected.shape
    off = np.abs(found.astype(int) - expected)
    assert np.percentile(off, 99) <= most, np.percentile(off, [50, 90, 99, 100])


SHARP = {"crf": "1"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_frames_and_their_times(tmp_path: Path, suffix: str) -> None:
    """Of variable rate; the last frame of an .mp4 lasts as long as it did."""
    source = save_clip(tmp_path / "a.mp4", pictures(5, 24, 32), options=SHARP)
    out = tmp_path / f"out{suffix}"
    video = copied(source, out)
    assert (video.size, video.frames, video.transparent) == ((48, 64), 5, False)
    assert times_of(out) == list(TIMES)
    if suffix in (".mp4", ".mov"):
        assert video.seconds == pytest.approx(1.25)
    for found, expected in zip(read(out), pictures(5, 24, 32), strict=True):
        near(found[::2, ::2], expected, 8)


def test_sound_is_copied_to_the_byte_and_stays_in_time(tmp_path: Path) -> None:
    source = save_clip(tmp_path / "a.mp4", pictures(5, 24, 32), sound="aac")
    for suffix in (".mp4", ".mkv"):
        out = tmp_path / f"out{suffix}"
        assert copied(source, out).sound == "aac"
        assert sound_of(out) == sound_of(source)
        assert np.diff(times_of(out)).tolist() == np.diff(TIMES).tolist()
    with pytest.raises(UserError, match=r"has aac sound, which \.webm cannot hold\. Choose .*\.mkv"):
        check_video(read_video(source), tmp_path / "out.webm", (48, 64))
    source = save_clip(tmp_path / "a.webm", pictures(5, 24, 32), codec="libvpx-vp9", sound="libopus")
    assert copied(source, tmp_path / "out.webm").sound == "opus"
    assert sound_of(tmp_path / "out.webm") == sound_of(source)


@pytest.mark.parametrize("flips", [{}, {"hflip": True}, {"vflip": True}])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_phone_held_upright(tmp_path: Path, degrees: int, flips: dict[str, bool]) -> None:
    """FFmpeg counts degrees against the clock; a mirror comes after them."""
    (picture,) = pictures(1, 24, 32)
    picture[:8, :8] = 255  # one corner is not like another
    turn = {"degrees": degrees, **flips}
    path = save_clip(tmp_path / "a.mp4", [picture], rotation=turn, options=SHARP)
    expected = np.rot90(picture, degrees // 90)
    expected = expected[:, ::-1] if "hflip" in flips else expected
    expected = expected[::-1] if "vflip" in flips else expected
    near(read(path)[0], expected, 12)
    out = tmp_path / "out.mp4"
    assert copied(path, out).size == (2 * expected.shape[0], 2 * expected.shape[1])
    near(read(out)[0][::2, ::2], expected, 16)
    with av.open(str(out)) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_an_angle_that_is_no_quarter(tmp_path: Path) -> None:
    path = save_clip(tmp_path / "a.mp4", pictures(1, 24, 32), rotation={"degrees": 30})
    with pytest.raises(UserError, match="another angle"):
        read_video(path)


COLOURS = [(200, 100, 50), (20, 180, 90), (240, 240, 16), (128, 128, 128), (0, 0, 0), (255, 255, 255)]
SPACES = [
    ((1, False), {"colorspace": 1, "color_range": 1}, 24),
    ((1, True), {"colorspace": 1, "color_range": 2}, 24),
    ((5, False), {"colorspace": 6, "color_range": 1}, 24),
    ((5, True), {"colorspace": 5, "color_range": 2}, 24),
    ((9, False), {"colorspace": 9, "color_range": 1}, 24),
    ((5, False), {}, 24),  # untagged, as players take it: BT.601, but BT.709 from 720 lines on
    ((1, False), {}, 720),
    ((1, False), {"color_range": 1}, 720),
]


@pytest.mark.parametrize(("matrix", "tags", "height"), SPACES)
def test_colours_stay_what_they_are(
    tmp_path: Path, matrix: tuple[int, bool], tags: dict[str, int], height: int
) -> None:
    """Through two codecs; a matrix or range taken for another is 10 levels off and more."""
    picture = np.repeat(np.array([COLOURS], np.uint8), 16, axis=1).repeat(height, axis=0)
    path = save_clip(tmp_path / "a.mp4", [picture], matrix=matrix, tags=tags, options=SHARP)
    inner = slice(6, None, 16)  # away from the edges of the stripes
    near(read(path)[0][:, inner], picture[:, inner])
    for suffix in (".mp4", ".webm"):
        out = tmp_path / f"out{suffix}"
        copied(path, out)
        near(read(out)[0][::2, ::2][:, inner], picture[:, inner])
        with av.open(str(out)) as container:
            context: Any = container.streams.video[0].codec_context
            assert context.color_range == 1
            assert context.colorspace in {1: (1,), 5: (5, 6), 9: (9,)}[matrix[0]]


@pytest.mark.parametrize(
    ("suffix", "codec", "kind"),
    [(".webm", "libvpx-vp9", "yuva420p"), (".mkv", "libvpx", "yuva420p"), (".mov", "qtrle", "argb")],
)
def test_transparency_is_kept_or_refused(tmp_path: Path, suffix: str, codec: str, kind: str) -> None:
    made = pictures(3, 24, 32, 4)
    options = {} if codec == "qtrle" else {"auto-alt-ref": "0", "crf": "4", "b": "2M"}
    source = save_clip(tmp_path / f"a{suffix}", made, codec=codec, kind=kind, options=options)
    for out in (tmp_path / "out.webm", tmp_path / "out.mkv"):
        assert copied(source, out).transparent
        for found, expected in zip(read(out), made, strict=True):
            near(found[::2, ::2, 3], expected[:, :, 3], 4)
            near(found[::2, ::2, :3], expected[:, :, :3], 12)
    with pytest.raises(UserError, match=r"transparent; \.mp4 cannot keep that\. Choose \.webm"):
        check_video(read_video(source), tmp_path / "out.mp4", (48, 64))


def test_odd_sides(tmp_path: Path) -> None:
    """H.264 gets its last row and column twice; VP9 needs none."""
    source = save_clip(tmp_path / "a.webm", pictures(2, 11, 15), codec="libvpx-vp9")

    def tripled(picture: Picture) -> np.ndarray:
        return levels(picture).repeat(3, 0).repeat(3, 1)

    assert copied(source, tmp_path / "out.webm", tripled, 3).size == (33, 45)
    assert copied(source, tmp_path / "out.mp4", tripled, 3).size == (34, 46)
    near(read(tmp_path / "out.mp4")[0][33, :45], read(tmp_path / "out.mp4")[0][32, :45], 2)
    near(read(tmp_path / "out.mp4")[1][:33, 45], read(tmp_path / "out.mp4")[1][:33, 44], 2)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    for turn, expected in (({}, Fraction(16, 15)), ({"degrees": 90}, Fraction(15, 16))):
        path = save_clip(
            tmp_path / "a.mp4", pictures(1, 24, 32), rotation=turn or None,
            tags={"sample_aspect_ratio": Fraction(16, 15)},  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        copied(path, tmp_path / "out.mp4")
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert container.streams.video[0].sample_aspect_ratio == expected


def test_a_frame_is_written_before_the_next_is_read(tmp_path: Path, monkeypatch) -> None:
    """So memory is that of one, however many there are."""
    source, events = save_clip(tmp_path / "a.mp4", pictures(5, 24, 32)), []

    def watched(*arguments: Any) -> Any:
        for number, part in enumerate(parts(*arguments)):
            events.append(("read", number))
            yield part

    monkeypatch.setattr("edgesr.data.video.parts", watched)
    video = read_video(source)
    events.clear()
    out = tmp_path / "out.mkv"

    def enlarge(picture: Picture) -> np.ndarray:
        events.append(("enlarged", len(events) // 2))
        return doubled(picture)

    write_video(video, out, enlarge)
    assert events == [(what, number) for number in range(5) for what in ("read", "enlarged")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError, OSError])
def test_what_is_stopped_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    source = save_clip(tmp_path / "a.mp4", pictures(5, 24, 32), sound="aac")
    calls: list[int] = []

    def enlarge(picture: Picture) -> np.ndarray:
        calls.append(1)
        if len(calls) == 4:
            raise error
        return doubled(picture)

    with pytest.raises(error):
        write_video(read_video(source), tmp_path / "out.mp4", enlarge)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    source = save_clip(tmp_path / "a.mp4", pictures(2, 24, 32))
    (tmp_path / "out.mp4").write_text("theirs")
    with pytest.raises(FileExistsError):
        write_video(read_video(source), tmp_path / "out.mp4", doubled, overwrite=False)
    assert (tmp_path / "out.mp4").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mpeg4"), (".mpg", "mpeg2video")])
def test_older_containers_are_read(tmp_path: Path, suffix: str, codec: str) -> None:
    times = [40 * k for k in range(20)]
    made = pictures(20, 48, 64)
    source = save_clip(tmp_path / f"a{suffix}", made, codec=codec, times=times, tick=Fraction(1, 25))
    assert copied(source, tmp_path / "out.mp4").frames == 20
    assert np.diff(times_of(tmp_path / "out.mp4")) == pytest.approx([40] * 19, abs=0.02)
    near(read(tmp_path / "out.mp4")[19][::2, ::2], made[19], 25)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".webm", "libvpx-vp9")]
)
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, codec: str) -> None:
    source = tmp_path / f"a{suffix}"
    save_clip(source, pictures(20, 24, 32), codec=codec, times=[200 * k for k in range(20)])
    assert read_video(source).frames == 20
    content = source.read_bytes()
    for kept in (0, 40, len(content) // 3, len(content) * 3 // 5, len(content) * 4 // 5):
        source.write_bytes(content[:kept])
        with pytest.raises(UserError, match="could not be read as a video"):
            write_video(read_video(source), tmp_path / "out.mkv", doubled)
        assert not (tmp_path / "out.mkv").exists()


def test_a_damaged_frame_is_refused(tmp_path: Path) -> None:
    prompt = {"tune": "zerolatency"}
    source = save_clip(tmp_path / "a.mp4", pictures(5, 48, 64), sound="aac", options=prompt)
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        third = [packet for packet in container.demux(video=0) if packet.size][2]
        assert third.pos is not None
        place, size = third.pos, third.size
    content[place + 4 : place + size] = bytes([255]) * (size - 4)
    source.write_bytes(content)
    video = read_video(source)
    with pytest.raises(UserError, match="could not be read as a video"):
        write_video(video, tmp_path / "out.mp4", doubled)
    assert not (tmp_path / "out.mp4").exists()


def test_what_is_no_video(tmp_path: Path) -> None:
    for content in (b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(UserError, match="could not be read as a video"):
            read_video(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="is no file"):
        read_video(tmp_path / "b.mp4")
    with av.open(str(tmp_path / "c.mp4"), "w") as container:
        from tests.clips import _hear

        _hear(container, container.add_stream("aac", rate=48_000), 100)
    with pytest.raises(UserError, match="no pictures that move"):
        read_video(tmp_path / "c.mp4")


def test_a_playlist_of_other_files_is_not_followed(tmp_path: Path) -> None:
    """FFmpeg would open what it names, over the network too."""
    save_clip(tmp_path / "part.ts", pictures(5, 24, 32))
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.25,\npart.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.mkv").write_text(playlist)
    (tmp_path / "list.m3u8").write_text(playlist)
    with av.open(str(tmp_path / "list.m3u8")) as container:
        assert len(list(container.decode(video=0))) == 5  # it does
    for name in ("a.mkv", "list.m3u8"):
        with pytest.raises(UserError, match="could not be read as a video"):
            read_video(tmp_path / name)


def test_hdr_is_refused(tmp_path: Path) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16}
    path = save_clip(tmp_path / "a.mp4", pictures(1, 24, 32), tags=tags)
    with pytest.raises(UserError, match="HDR"):
        read_video(path)


def test_too_large_for_a_codec(tmp_path: Path) -> None:
    video = read_video(save_clip(tmp_path / "a.mp4", pictures(1, 24, 32)))
    for size in ((10, 20_000), (9000, 9000)):
        with pytest.raises(UserError, match="too large"):
            check_video(video, tmp_path / "out.mp4", size)
    with pytest.raises(UserError, match=r"written as \.m4v, \.mkv"):
        check_video(video, tmp_path / "out.png", (48, 64))


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_clip(tmp_path / "a.mp4", pictures(1, 24, 32))
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'edgesr\[video\]'"):
        read_video(path)
