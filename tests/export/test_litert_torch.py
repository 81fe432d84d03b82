"""A second opinion: what another converter makes of the same float network."""

import numpy as np
import pytest
import torch

from edgesr.checkpoint import Checkpoint
from edgesr.engines.litert import open_interpreter, run
from edgesr.models import create_model
from edgesr.quantization import pt2e
from edgesr.quantization.edge_form import edge_form
from export.program import Graph
from export.tfl.file import read
from export.tfl.profiles import PROFILES
from export.tfl.rules import RULES
from export.tfl.writer import Writer

SIZE = (24, 24)


@pytest.mark.slow
def test_litert_torch_computes_the_same(tiny: None) -> None:
    """Its file has other operators for PReLU and pixel shuffle; the images agree to float rounding."""
    litert_torch = pytest.importorskip(
        "litert_torch", reason="a second opinion, not needed: pip install litert-torch==0.10.0"
    )
    torch.manual_seed(0)
    model, shape = create_model("lffn-s", scale=2).eval(), (1, 3, *SIZE)
    program = pt2e.float_program(Checkpoint("lffn-s", 2, None, model.state_dict()), shape)
    ours = Writer(Graph(program), PROFILES["xnnpack"], RULES).write({}, unsigned=False)
    edge = litert_torch.to_channel_last_io(edge_form(model, SIZE), args=[0], outputs=[0])
    theirs = litert_torch.convert(edge.eval(), (torch.rand(1, *SIZE, 3),)).model_content()
    image = np.random.rand(1, *SIZE, 3).astype(np.float32)
    first, second = (run(open_interpreter(content), image) for content in (ours, theirs))
    assert np.abs(first - second).max() < 1e-4 * np.abs(second).max()
    names = [operator.name for operator in read(ours).operators]
    assert (names.count("DEPTH_TO_SPACE"), names.count("TRANSPOSE")) == (1, 0)
