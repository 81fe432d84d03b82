"""ExecuTorch's lowering to XNNPACK without what it does over and over: the same bytes in less time.

Each of the five was found by a profiler in release 1.5.1. None is a setting there, so parts of it are
replaced when this is imported.
"""

from collections.abc import Callable
from functools import cached_property

from executorch.backends.xnnpack import _passes as passes
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import ExportGraphSignature
from torch.fx import Node
from torch.fx.passes.infra.partitioner import Partition
from torch.fx.traceback import NodeSource

BATCH_NORM = {"aten.native_batch_norm.default", "aten._native_batch_norm_legit_no_training.default"}
LOOKS_FOR = {
    passes.ConvertToUpsampleBilinear2d: {"aten.upsample_bilinear2d.vec"},
    passes.ConvertToLinearPass: {"aten.mm.default", "aten.addmm.default", "aten.bmm.default"},
    passes.ConvertToSDPAPass: {"aten.bmm.default"},
    passes.FuseBatchNormPass: BATCH_NORM,
    passes.DecomposeBatchNorm: BATCH_NORM,
    passes.DecomposeConcatenate: {"aten.cat.default"},
    passes.RemoveGetItemPass: {"getitem"},
    passes.InsertPadQDQPass: {"aten.constant_pad_nd.default"},
    passes.PReLUReshapePass: {"aten._prelu_kernel.default"},
}
"""Pass → operators that it changes. Without them it would trace a graph anew for nothing, and two
passes would lower the patterns that they look for first."""


MAPPINGS = (
    "inputs_to_parameters",
    "inputs_to_buffers",
    "inputs_to_lifted_tensor_constants",
    "non_persistent_buffers",
)
_Remembering = type(
    "_Remembering",
    (ExportGraphSignature,),
    {name: cached_property(getattr(ExportGraphSignature, name).fget) for name in MAPPINGS},
)
"""A signature that nobody changes any more, so that its mappings need to be made only once."""


def _remembering(program: ExportedProgram) -> ExportGraphSignature:
    signature = program.graph_signature
    return _Remembering(signature.input_specs, signature.output_specs)


class Partitioner(XnnpackPartitioner):
    """It asks of every value that an operator reads whether it is a parameter, and for each answer a
    signature makes a list of all parameters: minutes for a network like LFFN.
    """

    def generate_partitions(self, ep: ExportedProgram) -> list[Partition]:
        """As ExecuTorch's; `ep` is read and not changed."""
        signature = ep.graph_signature
        ep._graph_signature = _remembering(ep)
        try:
            return super().generate_partitions(ep)
        finally:
            ep._graph_signature = signature

    def ops_to_not_decompose(
        self, ep: ExportedProgram
    ) -> tuple[list[OpOverload], Callable[[Node], bool] | None]:
        """Where all nodes that may be kept whole shall be, ExecuTorch is not told to ask of each: for
        that it decomposes `ep` twice, and traces it anew each time.
        """
        kept, wanted = super().ops_to_not_decompose(ep)
        if wanted and all(wanted(node) for node in ep.graph.nodes if node.target in kept):
            wanted = None
        return kept, wanted


_transform = passes.XNNPACKPassManager.transform


def _transform_where_needed(self: passes.XNNPACKPassManager) -> ExportedProgram:
    graph = self.exported_program.graph
    there = {node.target.__name__ for node in graph.nodes if node.op == "call_function"}
    self.passes = [each for each in self.passes if LOOKS_FOR.get(each, there) & there]
    program = _transform(self)
    program._graph_signature = _remembering(program)  # what follows writes the file
    return program


passes.XNNPACKPassManager.transform = _transform_where_needed

# Each pass copies the provenance of every node, which grows with each pass and which nobody reads. It
# is never changed, so a copy may be the same object.
NodeSource.__deepcopy__ = lambda self, memo: self  # pyright: ignore[reportAttributeAccessIssue]
