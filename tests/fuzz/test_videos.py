"""Broken videos: pictures or a UserError, nothing else; FFmpeg reads them in another process."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given

from tests.clips import pictures, save_clip
from tests.conftest import REPOSITORY
from tests.mutations import examples, harmed

KINDS = {
    "a.mp4": {"sound": "aac", "options": {"tune": "zerolatency"}},
    "a.mkv": {"rotation": {"degrees": 90}},
    "a.webm": {
        "codec": "libvpx-vp9", "kind": "yuva420p", "sound": "libopus", "options": {"auto-alt-ref": "0"},
    },
    "a.avi": {"codec": "mpeg4"},
}  # fmt: skip

READ = """
import os, resource, sys
from pathlib import Path
import numpy as np
from edgesr.data.video import read_video
from edgesr.data.video_writing import check_video, write_video
from edgesr.errors import UserError

def enlarge(picture):
    parts = [picture.colour] if picture.opacity is None else [picture.colour, picture.opacity]
    return np.concatenate(parts, axis=2)

for name in sys.stdin.read().splitlines():
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
        said, out = "fine", Path(name + ".mkv")
        try:
            video = read_video(Path(name))
            check_video(video, out, video.size)
            write_video(video, out, enlarge)
        except UserError:
            said = "refused"
        except BaseException as error:
            said = f"raw {type(error).__name__}: {error}"
        if said == "refused" and out.exists():
            said = "raw half a file"
        out.unlink(missing_ok=True)
        print(said[:200], flush=True)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        print(f"killed {-status}", flush=True)
"""


@pytest.mark.parametrize("name", KINDS)
def test_broken_videos_are_refused(tmp_path: Path, name: str) -> None:
    """Half of the accidents hit the container's head, where sizes and counts are."""
    content = save_clip(
        tmp_path / name, pictures(3, 16, 16, 4 if "kind" in KINDS[name] else 3), **KINDS[name]
    )
    whole, names = content.read_bytes(), []

    @examples(25)
    @given(damaged=harmed(whole, head=600))
    def write(damaged: bytes) -> None:
        names.append(str(tmp_path / f"{len(names)}{content.suffix}"))
        Path(names[-1]).write_bytes(damaged)

    write()
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input="\n".join([str(content), *names]),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    first, *others = done.stdout.splitlines()
    found = Counter(others)
    sys.stdout.write(f"{name} {dict(found)}\n")
    assert first == "fine"
    assert found.total() == len(names)
    assert set(found) <= {"fine", "refused"}
    assert found["refused"] > len(names) / 10
