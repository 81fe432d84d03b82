"""What is deployed, in tiles of the default size, against the same in a piece."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgesr.authors import from_authors
from edgesr.data.benchmarks import load_benchmark
from edgesr.data.drawn import drawn_images
from edgesr.data.images import to_tensor
from edgesr.data.pairs import PairedImages
from edgesr.models import MODELS, create_model
from edgesr.quantization import find_scheme, pt2e
from edgesr.tiling import upscale_tiled


@pytest.mark.slow
@torch.no_grad()
def test_lffn_in_int8_shows_no_seam(shared: Path) -> None:
    """99.9 % of the pixels of a photograph of odd size are within one level."""
    model, scheme = create_model("lffn-s", scale=2), find_scheme("w8a8")
    weights = load_file(shared / "reference" / "lffn_s_x2.authors.safetensors")
    model.load_state_dict(from_authors("lffn-s", 2, weights))
    batches = PairedImages(drawn_images(8, 128), 2)
    lr = batches.batch(np.random.default_rng(0), 16, 24)[0].float() / 255
    trained = pt2e.prepare(model, scheme, (16, 3, 24, 24), lr)
    trained(lr)
    pt2e.freeze(trained, lr)

    pairs = load_benchmark(shared / "data" / "benchmark" / "Set14", 2)
    barbara = next(to_tensor(pair.lr) for pair in pairs if pair.name == "barbara")
    image = barbara[:, :, :203, :331].contiguous()  # three tiles wide, two of them overlap no further
    side, overlap = MODELS["lffn-s"].tile, MODELS["lffn-s"].overlap

    def at(height: int, width: int) -> torch.nn.Module:
        graph = pt2e.prepare(model, scheme, (1, 3, height, width))
        pt2e.take_over(graph, trained)
        return graph

    def levels(sr: Tensor) -> Tensor:
        return (255 * sr).round()

    whole = levels(at(203, 331)(image))
    tiled = levels(upscale_tiled(at(side, side), image, scale=2, tile=(side, side), overlap=overlap))
    within = ((tiled - whole).abs().amax(1) <= 1).float().mean()
    assert within >= 0.999
    assert (tiled != whole).any()  # else it is not these tiles that this compares
