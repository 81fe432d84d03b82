"""Run an artifact beside what it must equal, on the same images, through the same tiles."""

import time
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgesr import Upscaler, cli
from edgesr.data.benchmarks import Pair
from edgesr.data.images import to_tensor, to_uint8
from edgesr.engines import Artifact
from edgesr.metrics.evaluate import Scores, evaluate, score
from edgesr.models import create_model
from edgesr.provenance import processor
from export.report import Parity, Quality

LATENCY_RUNS = 10


def measure(
    artifact: Artifact,
    reference: Upscaler,
    original: Upscaler | None,
    pairs: list[Pair],
    parity: Parity,
    title: str,
) -> Quality:
    """Score artifact and reference (one tile each) and the original (whole images) on `pairs`.

    The differences of artifact and reference are added to `parity`.
    """
    ours, theirs, originals = Scores(), Scores(), Scores()
    with cli.Progress(len(pairs), title, "image") as bar:
        for pair in pairs:
            sr, expected = (upscaled(artifact.tiled(u), pair) for u in (artifact.upscale, reference))
            parity.add(sr, expected)
            ours.images[pair.name] = score(sr, pair.hr, artifact.scale)
            theirs.images[pair.name] = score(expected, pair.hr, artifact.scale)
            if original is not None:
                originals.images.update(evaluate(original, [pair], artifact.scale).images)
            bar.advance()
    return Quality(originals.psnr if original is not None else None, theirs.psnr, ours.psnr)


@torch.no_grad()
def upscaled(upscale: Upscaler, pair: Pair) -> NDArray[np.uint8]:
    """The SR of a pair's LR as 8-bit pixels (sH,sW,3)."""
    return to_uint8(upscale(to_tensor(pair.lr)))


@torch.no_grad()
def latency(artifact: Artifact) -> dict[str, Any]:
    """Milliseconds per tile on this host, alternating with the published network in eager PyTorch.

    Only the ratio travels to other machines. Weights do not change it, so fresh ones serve.
    """
    network = create_model(artifact.model, scale=artifact.scale).eval()
    lr = torch.rand(1, 3, *artifact.tile)
    contenders = {"artifact": artifact.upscale, "eager fp32": network}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(LATENCY_RUNS + 1):  # the first run warms up
        for name, upscale in contenders.items():
            began = time.perf_counter()
            upscale(lr)
            times[name].append(1000 * (time.perf_counter() - began))
    ours, eager = times["artifact"][1:], times["eager fp32"][1:]
    return {
        "device": f"host: {processor()}",
        "threads": torch.get_num_threads(),
        "runs": LATENCY_RUNS,
        "median_ms": median(ours),
        "p90_ms": quantiles(ours, n=10)[-1],
        "against": {"eager fp32, published form": median(eager) / median(ours)},
    }
