"""What all tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark images, papers and reference weights kept beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir() and "EDGESR_REQUIRE_SHARED" not in os.environ:
        pytest.skip("needs the benchmark images in ../shared, which are not part of this repository")
    return folder


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
