"""Lower a checkpoint to a .pte through XNNPACK: `python -m export.executorch`."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch.export import ExportedProgram
from torch.fx.traceback import NodeSource

from edgesr import cli
from edgesr.engines.executorch import FACTS
from export import readback
from export.pte import census, operators
from export.report import Proof
from export.xnn.file import read
from export.xnn.kernels import upscale

# Each of dozens of passes copies the provenance of every node, which grows with each pass and which
# nobody reads: a sixth of lowering's time. It is never changed, so a copy may be the same object.
NodeSource.__deepcopy__ = lambda self, memo: self  # pyright: ignore[reportAttributeAccessIssue]

NAME: str = "executorch"
FOLD_WEIGHTS: bool = True


def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
    """Write `program` to `path` with its facts inside: all as JSON, the numbers also one by one."""
    numbers = {
        "scale": facts["scale"],
        "tile_height": facts["tile"][0],
        "tile_width": facts["tile"][1],
        "overlap": facts["overlap"],
        "multiple": facts["multiple"],
    }
    edge = to_edge_transform_and_lower(
        program,
        partitioner=[XnnpackPartitioner()],
        constant_methods={FACTS: json.dumps(facts), **numbers},
    )
    path.write_bytes(edge.to_executorch().buffer)


def prove(program: ExportedProgram, path: Path, facts: dict[str, Any]) -> Proof:
    """Whether the file holds the program, read back from its bytes without a runtime."""
    return Proof({}, faults(program, path.read_bytes()))


def faults(program: ExportedProgram, content: bytes) -> list[str]:
    """Everything in which a .pte differs from the program that it was lowered from, in words."""
    try:
        file = read(content)
    except ValueError as error:
        return [f"the file cannot be read back: {error}"]
    return readback.faults(program, file, partial(upscale, file))


__all__ = ["FOLD_WEIGHTS", "NAME", "census", "faults", "lower", "operators", "prove"]


if __name__ == "__main__":
    from export import command, executorch

    cli.run(lambda: command.main(executorch))
