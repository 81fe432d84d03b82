"""Recipes set torch up for the whole process; each test leaves it as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from edgesr.data.drawn import drawn_images


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four images of 48x48, to train on."""
    folder = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(drawn_images(4, 48)):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder
