"""The images that a recipe trains on and measures itself on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgesr import Upscaler
from edgesr.cli import Progress
from edgesr.data.benchmarks import Pair, make_pair
from edgesr.data.drawn import drawn_images
from edgesr.data.pairs import OnImage, TrainingSet, load_training
from edgesr.data.patches import PairedImages
from edgesr.metrics import evaluate
from edgesr.models import find_model
from recipes import processes
from recipes.fit import Batches
from recipes.settings import Settings

DRAWN_SIDE = 192
DRAWN_HELD_OUT = 4
LONGEST_SIDE = 256  # of a held-out LR image, so that a validation takes seconds
GPU_SHARE = 0.5  # of a GPU's free memory that images may take; the rest is the network's


def load_images(folders: list[Path], scale: int, patch: int, holdout: int) -> TrainingSet:
    """The images of `folders`, `holdout` of them set apart; without folders, drawn ones."""
    if folders:
        return load_training(folders, scale, patch, holdout=holdout, progress=_reading())
    side = max(DRAWN_SIDE, scale * patch)
    held_out = drawn_images(DRAWN_HELD_OUT, side, seed=1)
    pairs = [make_pair("drawn", image, scale) for image in held_out]
    return TrainingSet(PairedImages(drawn_images(size=side), scale), pairs, 0)


def random_patches(images: PairedImages, settings: Settings) -> Batches:
    """Batches drawn from the seed and the step alone, of each this process's share.

    UserError if the processes cannot share a batch equally.
    """
    part = processes.share(settings.batch)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([settings.seed, step])
        places = images.draw(rng, settings.batch, settings.patch)
        return images.cut(places.part(part), settings.patch)

    return batch


def keep_near(images: PairedImages, batches: Batches, device: torch.device) -> Batches:
    """`batches` so that a GPU never waits for them: its memory holds the images, if they fit.

    If they do not, the next batch is cut while the GPU works on the one before.
    """
    if device.type != "cuda":
        return batches
    if images.size <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        images.to(device)
        return batches
    return one_ahead(batches)


def one_ahead(batches: Batches) -> Batches:
    """The same batches, each cut in a thread while the one before is trained on."""
    pool, waiting = ThreadPoolExecutor(1), dict[int, Future[tuple[Tensor, Tensor]]]()

    def pinned(step: int) -> tuple[Tensor, Tensor]:
        lr, hr = batches(step)
        return (lr.pin_memory(), hr.pin_memory()) if torch.cuda.is_available() else (lr, hr)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        now = waiting.pop(step, None) or pool.submit(pinned, step)
        waiting.clear()
        waiting[step + 1] = pool.submit(pinned, step + 1)
        return now.result()

    return batch


def held_out_psnr(
    pairs: list[Pair], model: str, scale: int, device: torch.device
) -> Callable[[Upscaler], float]:
    """A function from an upscaler to its mean PSNR in dB (Y, shave `scale`) on held-out images."""
    small = [_cut(pair, index, model, scale) for index, pair in enumerate(pairs)]

    def measure(network: Upscaler) -> float:
        def upscale(lr: Tensor) -> Tensor:
            return network(lr.to(device)).cpu()

        return evaluate(upscale, small, scale).psnr

    return measure


def _cut(pair: Pair, index: int, model: str, scale: int) -> Pair:
    """The upper left of an image, as large as validation affords and the model takes.

    It is never too small for the model: what is held out is no smaller than a patch (`load_training`
    leaves smaller images out), and a patch is what the model takes (`planned` refuses others).
    """
    multiple = find_model(model).lr_multiple(scale)
    height, width = (min(side, LONGEST_SIDE) // multiple * multiple for side in pair.lr.shape[:2])
    name = f"{index:02}-{pair.name}"  # two folders may have images of one name
    return Pair(name, pair.lr[:height, :width], pair.hr[: scale * height, : scale * width])


def _reading() -> OnImage:
    """A callback for `load_training` that shows a progress bar for each thing that is done."""
    bars: dict[str, Progress] = {}

    def on_image(label: str, done: int, total: int) -> None:
        if done == 1:
            bars[label] = Progress(total, label, "image")
        bars[label].advance()
        if done == total:
            bars[label].__exit__()

    return on_image
