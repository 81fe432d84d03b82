"""How fast training goes, and what holds it up: python -m recipes.bench_training

Trains one network with images from our store and with a plain DataLoader, whose worker processes decode
an HR and an LR PNG for every patch, in turns and in one process. Prints steps per second of both, of
their input alone and of the network alone, and how much of a step is not the network. On a GPU also the
floating point operations per second, beside what the same card does in one large product, and its
memory's bandwidth.

Drawn images have the size and the grain of DIV2K's photographs, since noise is what takes a PNG's bytes
and time: some 4.4 MB each.

The plain loader is spared what it could be blamed for: its LR files lie ready, workers crop before
anything travels, and patches travel as bytes.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edgesr import cli
from edgesr.data.downscale import crop_to_multiple, downscale
from edgesr.data.drawn import drawn_images
from edgesr.data.images import find_images, read_uint8
from edgesr.data.pairs import load_training
from edgesr.files import write_text
from edgesr.models import create_model, find_trainable
from edgesr.provenance import commit, processor, versions
from recipes.fit import use_device
from recipes.images import keep_near, random_patches
from recipes.papers import recipe_of, work_of
from recipes.settings import Settings
from recipes.step import Step

Next = Callable[[], tuple[Tensor, Tensor]]
"""The next batch: LR and HR, uint8."""


class DecodedEveryTime(Dataset[tuple[Tensor, Tensor]]):
    """A random patch of an image that is decoded for it: what most training code does."""

    def __init__(self, folder: Path, scale: int, side: int, length: int) -> None:
        self.hrs, self.lrs = find_images(folder / "HR"), find_images(folder / "LR")
        self.scale, self.side, self.length = scale, side, length

    def __len__(self) -> int:
        """How many patches there are before it ends."""
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Patch `index`, which is another one each time: LR (3,p,p) and HR."""
        rng = np.random.default_rng(index)
        chosen = int(rng.integers(len(self.hrs)))
        lr, hr = (read_uint8(files[chosen]) for files in (self.lrs, self.hrs))
        top, left = (int(rng.integers(side - self.side + 1)) for side in lr.shape[:2])
        lr = lr[top:, left:][: self.side, : self.side]
        wide = self.scale * self.side
        hr = hr[self.scale * top :, self.scale * left :][:wide, :wide]
        if rng.random() < 0.5:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        turns = int(rng.integers(4))
        return tuple(  # pyright: ignore[reportReturnType]
            torch.from_numpy(np.ascontiguousarray(np.rot90(patch, turns).transpose(2, 0, 1)))
            for patch in (lr, hr)
        )


def main() -> None:
    """Measure and print."""
    args = parse()
    find_trainable(args.model)
    threads = args.threads or torch.get_num_threads()
    device = use_device(args.device, threads)
    settings = (
        recipe_of(args.model)
        .settings(args.scale)
        .changed(
            batch=args.batch,
            patch=args.patch,
            precision=args.precision,
            channels_last=args.channels_last or None,
            compile=args.compile,
        )
    )
    with tempfile.TemporaryDirectory() as name:
        folder = prepared(Path(name), args)
        os.environ["EDGESR_CACHE"] = str(Path(name) / "cache")
        found = measured(folder, settings, device, args)
    found |= {
        "host": processor(),
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "commit": commit(),
        "versions": versions(),
        "threads": threads,
        "workers": args.workers,
    }
    print(report(found))
    if args.json:
        write_text(args.json, json.dumps(found, indent=2) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.bench_training", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--model", default="lffn-s", metavar="NAME", help="network (default lffn-s)")
    add("--scale", type=int, default=4, metavar="S", help="2, 3 or 4 (default 4)")
    add("--batch", type=int, default=16, metavar="N", help="patches per step (default 16)")
    add("--patch", type=int, default=32, metavar="N", help="side of an LR patch (default 32)")
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of HR images (default: drawn, 2040x1360, grainy)",
    )
    add("--images", type=int, default=8, metavar="N", help="how many of them to use (default 8)")
    add("--steps", type=int, metavar="N", help="steps of a turn (default 3 on a CPU, 200 on a GPU)")
    add("--turns", type=int, default=5, metavar="N", help="turns of each (default 5)")
    cores = os.cpu_count() or 1
    add("--workers", type=int, default=cores, metavar="N", help="of the DataLoader (default: all cores)")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (default auto)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    add("--precision", default="float32", metavar="NAME", help="float32, tf32 or bfloat16")
    add("--channels-last", action="store_true", help="channels side by side in memory")
    add("--compile", default="no", metavar="NAME", help="no, default or cuda-graphs")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    return parser.parse_args()


def prepared(folder: Path, args: argparse.Namespace) -> Path:
    """PNG files of HR and their LR below `folder`, as an archive of training images unpacks."""
    if args.data:
        images = [read_uint8(path) for path in find_images(args.data)[: args.images]]
    else:
        images = [grainy(np.tile(image, (2, 3, 1))) for image in drawn_images(args.images, 680)]
    for part in ("HR", "LR"):
        (folder / part).mkdir()
    with cli.Progress(len(images), "writing PNGs", "image") as bar:
        for number, image in enumerate(images):
            hr = crop_to_multiple(np.broadcast_to(image, (*image.shape[:2], 3)), args.scale)
            Image.fromarray(np.ascontiguousarray(hr)).save(folder / f"HR/{number:04}.png")
            Image.fromarray(downscale(hr, args.scale)).save(folder / f"LR/{number:04}.png")
            bar.advance()
    return folder


def grainy(image: np.ndarray) -> np.ndarray:
    """A drawn image (H,W,3) with noise of 1.5 levels, the same each time."""
    noise = np.random.default_rng(0).normal(0, 1.5, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def measured(
    folder: Path, settings: Settings, device: torch.device, args: argparse.Namespace
) -> dict[str, Any]:
    """Seconds of a step in every turn, by what was timed."""
    torch.manual_seed(0)
    step = Step(create_model(args.model, scale=args.scale).to(device).train(), settings, device)
    step.begin()
    began = time.perf_counter()
    images = load_training([folder], args.scale, settings.patch, holdout=0).train
    stored = time.perf_counter() - began
    batches = keep_near(images, random_patches(images, settings), device)
    count = args.steps or (3 if device.type == "cpu" else 200)

    def ours() -> Iterator[tuple[Tensor, Tensor]]:
        return (batches(number) for number in range(count + 1))

    def plain() -> Iterator[tuple[Tensor, Tensor]]:
        pin = device.type == "cuda"
        patches = DecodedEveryTime(
            folder, args.scale, settings.patch, settings.batch * (count + 1 + 2 * args.workers)
        )
        return iter(DataLoader(patches, settings.batch, num_workers=args.workers, pin_memory=pin))

    lr, hr = (patches.to(device) for patches in batches(0))
    train = lambda lr, hr: step(lr, hr, settings.lr)  # noqa: E731
    only_fetch = lambda lr, hr: (lr.to(device), hr.to(device))  # noqa: E731
    timed: dict[str, Callable[[], float]] = {
        "ours": lambda: turn(ours(), train, count, device),
        "plain": lambda: turn(plain(), train, count, device),
        "network": lambda: turn(iter([(lr, hr)] * (count + 1)), train, count, device),
        "input of ours": lambda: turn(ours(), only_fetch, count, device),
        "input of plain": lambda: turn(plain(), only_fetch, count, device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    with cli.Progress(args.turns, "measuring", "turn") as bar:
        for _ in range(args.turns):
            for name, run in timed.items():
                seconds[name].append(run())
            bar.advance()
    one = settings.changed(steps=1)
    found: dict[str, Any] = {
        "model": args.model,
        "scale": args.scale,
        "settings": asdict(settings),
        "images": len(images),
        "making the store": stored,
        "seconds": seconds,
        "flop": work_of(args.model, args.scale, one),
    }
    return found | ({"limits": limits(device, settings)} if device.type == "cuda" else {})


def turn(
    batches: Iterator[tuple[Tensor, Tensor]],
    work: Callable[[Tensor, Tensor], object],
    count: int,
    device: torch.device,
) -> float:
    """Mean seconds of `count` steps, after one that does not count."""
    work(*next(batches))
    _finish(device)
    began = time.perf_counter()
    for _ in range(count):
        work(*next(batches))
    _finish(device)
    return (time.perf_counter() - began) / count


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def limits(device: torch.device, settings: Settings) -> dict[str, float]:
    """A second of this card at best: operations in one large product, bytes in one large copy."""
    side, times = 8192, 10
    kind = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    factor = torch.randn(side, side, device=device, dtype=kind)
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def best(run: Callable[[], object]) -> float:
        spent = []
        for _ in range(times):
            _finish(device)
            began = time.perf_counter()
            run()
            _finish(device)
            spent.append(time.perf_counter() - began)
        return min(spent)

    return {
        "flop_per_second": 2.0 * side**3 / best(lambda: factor @ factor),
        "bytes_per_second": 2.0 * len(source) / best(lambda: target.copy_(source)),
    }


def report(found: dict[str, Any]) -> str:
    """What was measured, in words."""
    median = {name: statistics.median(turns) for name, turns in found["seconds"].items()}
    spread = {name: (min(turns), max(turns)) for name, turns in found["seconds"].items()}
    settings = found["settings"]
    lines = [
        f"{found['model']} x{found['scale']}, {settings['batch']} patches {settings['patch']}x"
        f"{settings['patch']}, {settings['precision']}, compile {settings['compile']}, on "
        f"{found['gpu'] or found['host']}, CPU threads {found['threads']}, DataLoader workers "
        f"{found['workers']}; the store of {found['images']} images took "
        f"{found['making the store']:.1f} s",
        f"{'':<16}{'steps/s':>10}{'ms a step':>12}   fastest and slowest turn",
    ]
    for name, seconds in median.items():
        low, high = spread[name]
        lines.append(
            f"{name:<16}{1 / seconds:>10.2f}{1e3 * seconds:>12.2f}   "
            f"{1e3 * low:.2f} to {1e3 * high:.2f} ms"
        )
    for name in ("ours", "plain"):
        share = max(1 - median["network"] / median[name], 0)
        lines.append(f"of a step of {name}, {share:.1%} is not the network")
    times = median["plain"] / median["ours"]
    alone = median["input of plain"] / median["input of ours"]
    lines.append(f"ours is {times:.2f} times as fast as plain; its input alone {alone:.1f} times")
    rate = found["flop"] / median["ours"]
    if "limits" in found:
        top, width = found["limits"]["flop_per_second"], found["limits"]["bytes_per_second"]
        lines.append(
            f"{rate / 1e12:.2f} TFLOP/s of the {top / 1e12:.0f} that one large product reaches here "
            f"({rate / top:.1%}); its memory copies {width / 1e9:.0f} GB/s"
        )
    else:
        lines.append(f"{rate / 1e9:.1f} GFLOP/s")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
