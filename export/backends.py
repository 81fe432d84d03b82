"""ExecuTorch's other backends: this host lowers for them and reads the file back, and cannot run it.

What is checked instead of running a file: one delegate holds everything, every constant that the program
uses is in it, to the bit (in order or not, for a backend lays weights out as it likes), and where the
delegate is a Core ML package, our interpreter computes it like one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from executorch.backends.vulkan.serialization import vulkan_graph_serialize as vulkan
from executorch.backends.vulkan.serialization.vulkan_graph_schema import VkDataType, VkGraph, VkTensor
from executorch.exir._serialize._program import (
    PTEFile,
    _extract_delegate_payload,
    deserialize_pte_binary,
)
from executorch.exir.schema import DelegateCall, KernelCall
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram

from edgesr import Upscaler
from edgesr.engines.interpreter import Interpreter
from edgesr.engines.mlpackage import read_program
from export import mlpackage
from export.census import Census, Operator, counted
from export.program import Graph
from export.xnn.file import forward

XNNPACK = "xnnpack"
DTYPES = {VkDataType.INT8: np.int8, VkDataType.INT32: np.int32, VkDataType.FLOAT32: np.float32}
MOVERS = ("et_vk.prepack", "quantized_decomposed.")
"""How the names of Vulkan's operators begin that change a tensor's type or place and compute nothing."""

Array = NDArray[Any]
Computes = Literal["int8", "float", "other"]


@dataclass(frozen=True)
class Contents:
    """What a delegate holds."""

    operators: list[tuple[str, Computes]]
    constants: list[Array]
    float_weight_bytes: int
    upscale: Upscaler | None
    """The delegate as our interpreter computes it; None where there is none."""


@dataclass(frozen=True)
class Backend:
    """Where a .pte may run instead of XNNPACK."""

    delegate: str
    """As in the file."""
    partitioners: Callable[[str], list[Any]]
    """Scheme → what ExecuTorch lowers with."""
    read: Callable[[bytes, PTEFile], Contents]
    """A delegate's bytes, and the file around them."""
    not_run: str
    """Why not here."""


def of_vulkan(scheme: str) -> list[Any]:
    """In float32 and int8, as captured."""
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

    return [VulkanPartitioner()]


def of_coreml(scheme: str) -> list[Any]:
    """As `export.coreml` converts: iOS 17, half precision around int8, a float file in float32."""
    import coremltools as ct
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    from export.coreml import PRECISIONS, RESCALING, usual_precision

    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=PRECISIONS[usual_precision(scheme)],
        pass_names=[name for name in ct.PassPipeline().passes if name != RESCALING],
    )
    return [CoreMLPartitioner(compile_specs=specs)]


def read_vulkan(payload: bytes, file: PTEFile) -> Contents:
    """A graph in Vulkan's schema; its constants lie beside it by name."""
    graph: VkGraph = vulkan.flatbuffer_to_vk_graph(vulkan.extract_vk_flatbuffer(payload))
    tensors = [value.value for value in graph.values]
    constants = [
        np.frombuffer(
            _named(file, graph.constants[tensor.constant_id].named_key), DTYPES[tensor.datatype]
        )
        for tensor in tensors
        if isinstance(tensor, VkTensor) and tensor.constant_id >= 0
    ]
    operators: list[tuple[str, Computes]] = []
    for call in graph.chain:
        written = tensors[call.args[-1]]
        if not call.name.startswith(MOVERS) and isinstance(written, VkTensor):
            computes = "int8" if written.datatype == VkDataType.INT8 else "float"
            operators.append((call.name, computes))
    floats = sum(constant.nbytes for constant in constants if constant.dtype == np.float32)
    return Contents(operators, constants, floats, None)


def _named(file: PTEFile, key: str) -> bytes:
    assert file.named_data is not None
    data = file.named_data.buffers[file.named_data.pte_data[key].buffer_index]
    assert isinstance(data, bytes)
    return data


def read_coreml(payload: bytes, file: PTEFile) -> Contents:
    """A Core ML package, flattened into bytes."""
    from executorch.backends.apple.coreml import executorchcoreml

    with TemporaryDirectory() as folder:
        if not executorchcoreml.unflatten_directory_contents(payload, folder):
            raise ValueError("the delegate is no folder that Core ML's backend wrote")
        package = Path(folder, "lowered_module", "model.mlpackage")
        program, census = read_program(package), mlpackage.census(package)
        operators: list[tuple[str, Computes]] = [
            (own.kind, own.computes) for own in mlpackage.operators(package)
        ]
    constants = [value.numpy() for value in program.constants.values() if isinstance(value, Tensor)]
    return Contents(operators, constants, census.float_weight_bytes, Interpreter(program))


BACKENDS = {
    "coreml": Backend(
        "CoreMLBackend",
        of_coreml,
        read_coreml,
        "ExecuTorch's Core ML backend runs on Apple's devices only",
    ),
    "vulkan": Backend(
        "VulkanBackend",
        of_vulkan,
        read_vulkan,
        "ExecuTorch's wheel has no runtime for Vulkan, and this host no GPU for it",
    ),
}
"""By the name that `--backend` takes."""


def read(path: Path) -> tuple[Census, list[Operator], list[Contents]]:
    """What is in a .pte for one of `BACKENDS`. ValueError for a delegate of another backend."""
    content = path.read_bytes()
    file = deserialize_pte_binary(content)
    plan, steps = forward(file.program)
    known = {backend.delegate: backend for backend in BACKENDS.values()}
    delegates = [plan.delegates[s.delegate_index].id for s in steps if isinstance(s, DelegateCall)]
    if not set(delegates) <= known.keys():
        raise ValueError(f"delegates {delegates}, where {list(known)} are known")
    found = []
    for place, name in enumerate(delegates):
        payload = _extract_delegate_payload(content, name, delegates[:place].count(name))
        assert payload is not None
        found.append(known[name].read(payload, file))
    outside = [plan.operators[step.op_index].name for step in steps if isinstance(step, KernelCall)]
    operators = [Operator(kind, "other", None) for kind in outside]
    for part, contents in enumerate(found):
        operators += [Operator(kind, computes, part) for kind, computes in contents.operators]
    census = counted(
        operators,
        partitions=len(found),
        float_weight_bytes=sum(contents.float_weight_bytes for contents in found),
        planned_bytes=sum(plan.non_const_buffer_sizes[1:]),
    )
    return census, operators, found


def is_elsewhere(path: Path) -> bool:
    """Whether a .pte is for one of `BACKENDS`."""
    plan, _ = forward(deserialize_pte_binary(path.read_bytes()).program)
    return any(own.id == backend.delegate for own in plan.delegates for backend in BACKENDS.values())


def upscaler(path: Path) -> Upscaler | None:
    """A .pte by our interpreter; None where it cannot be computed here at all."""
    census, _, found = read(path)
    return found[0].upscale if census.partitions == 1 and not census.ops_outside else None


def faults(program: ExportedProgram, path: Path) -> list[str]:
    """Which constants of the program are not in the file, in words."""
    _, _, found = read(path)
    stored = [constant for contents in found for constant in contents.constants]
    half = any(constant.dtype == np.float16 for constant in stored)
    missing = Counter(_values(Graph(program).used(), half)) - Counter(_values(stored, half))
    if not missing:
        return []
    return [f"{missing.total()} of the program's constants are not in the file as they are"]


def _values(constants: Iterable[Array], half: bool) -> Iterator[tuple[str, bytes]]:
    """What a constant is made of, whatever its order and padding: its values but zeros, sorted."""
    for constant in constants:
        values = constant.reshape(-1)
        if values.dtype.kind == "f":
            values = values.astype(np.float16 if half else np.float32)
        values = np.sort(values[values != 0])
        if values.size:
            yield values.dtype.str, values.tobytes()
