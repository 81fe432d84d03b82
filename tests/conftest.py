"""What all tests share."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesr.files import cache_folder
from edgesr.models import MODELS
from edgesr.models.lffn import LFFN
from edgesr.models.maffsrn import MAFFSRN
from edgesr.models.mlrn import MLRN
from edgesr.models.msfin import MSFIN
from edgesr.models.osffnet import OSFFNet

SMALL: dict[str, Callable[[int], nn.Module]] = {
    "lffn": lambda scale: LFFN(scale, modules=2, blocks=2, features=12),
    "lffn-s": lambda scale: LFFN(scale, modules=2, blocks=2, features=12, depthwise=True),
    "msfin": lambda scale: MSFIN(scale, features=8, groups=4, reduction=4, passes=1),
    "maffsrn": lambda scale: MAFFSRN(scale, groups=1, features=16),
    "osffnet": lambda scale: OSFFNet(scale, features=32, kernels=(1, 3)),
    "mlrn": lambda scale: MLRN(scale, blocks=2, features=8, growth=8),
}
"""A network of each family with every kind of layer it has, small enough to be lowered in seconds."""

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark images, papers and reference weights kept beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir() and "EDGESR_REQUIRE_SHARED" not in os.environ:
        pytest.skip("needs the benchmark images in ../shared, which are not part of this repository")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go into a temporary folder, those of commands that tests start too.

    Tools are fetched once, for all runs of the tests.
    """
    cache, tools = tmp_path_factory.mktemp("cache"), cache_folder() / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (cache / "tools").symlink_to(tools)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESR_CACHE", str(cache))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def small_networks() -> dict[str, Callable[[int], nn.Module]]:
    """`SMALL`, for who wants one of them by name."""
    return SMALL


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a network that is a small one of its family for the length of a module's tests."""
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, name, replace(MODELS[name], build=SMALL[name]))
        yield name
