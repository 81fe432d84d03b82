"""Capture, prepare, freeze, convert: torchao's PT2E flow, at one fixed LR shape.

A checkpoint's tensors do not depend on the shape, so a graph trained on patches is rebuilt from its
checkpoint at any deployment shape, with the same names and the same numbers.
"""

import copy
from collections import Counter
from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import (
    FakeQuantizeBase,
    allow_exported_model_train_eval,
    disable_observer,
)
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from edgesr.checkpoint import Checkpoint, load_strict
from edgesr.models import create_model
from edgesr.quantization import find_scheme
from edgesr.quantization.edge_form import edge_form
from edgesr.quantization.edge_form.portable import with_own_operators
from edgesr.quantization.groups import merge_groups
from edgesr.quantization.quantizer import WEIGHTED, SuperResolutionQuantizer
from edgesr.quantization.scheme import Scheme

LrShape = tuple[int, int, int, int]
"""(N, 3, H, W)"""


def prepare(
    model: nn.Module, scheme: Scheme, lr_shape: LrShape, images: Tensor | None = None
) -> GraphModule:
    """The edge form of a float network as a fake-quantized graph, ready to train.

    Its parameters start as the network's, in channels of like range if LR `images` (N,3,h,w) are
    there to see the ranges by. Its own ranges are empty until it has seen images.
    """
    edge = edge_form(model, lr_shape[2:], images)
    if not scheme.precise:
        with_own_operators(edge)
    graph = torch.export.export(edge, (torch.rand(lr_shape),)).module()
    assert isinstance(graph, GraphModule)
    constants = {name for name, _ in graph.named_buffers()} - graph.state_dict().keys()
    _bias_per_convolution(graph)
    prepared = prepare_qat_pt2e(graph, SuperResolutionQuantizer(scheme))
    _leave_out(constants, prepared)
    allow_exported_model_train_eval(prepared)
    return prepared


def _bias_per_convolution(graph: GraphModule) -> None:
    """Give every convolution a bias of its own, where a network passes through one more than once.

    Integer kernels hold a bias in steps of the scale of what they read, and each pass reads on a scale
    of its own. ExecuTorch 1.5.1 would write a shared one in the first pass' steps for all.
    """
    uses: Counter[str] = Counter()
    for node in graph.graph.nodes:
        if node.target not in WEIGHTED or len(node.args) < 3 or node.args[2] is None:
            continue
        bias = node.args[2]
        if bias.op != "get_attr":
            continue  # computed of one, in a float island
        uses[bias.target] += 1
        if uses[bias.target] > 1:
            name = f"{bias.target}_{uses[bias.target]}"
            owner, _, leaf = name.rpartition(".")
            stored = nn.Parameter(graph.get_parameter(bias.target).detach().clone())
            graph.get_submodule(owner).register_parameter(leaf, stored)
            with graph.graph.inserting_before(node):
                own = graph.graph.get_attr(name)
            own.meta = dict(bias.meta)
            node.update_arg(2, own)
    graph.recompile()


def _leave_out(constants: set[str], graph: GraphModule) -> None:
    """Keep these buffers out of checkpoints, as they were before `prepare` forgot that they are.

    Some depend on the LR size, which a checkpoint must not.
    """
    for name in constants:
        owner, _, leaf = name.rpartition(".")
        graph.get_submodule(owner)._non_persistent_buffers_set.add(leaf)


def freeze_activations(graph: GraphModule) -> None:
    """Stop moving the activations' scales. The weights' follow the weights until `freeze`."""
    for module in graph.modules():
        if isinstance(module, FakeQuantizeBase) and not module.is_per_channel:
            disable_observer(module)


@torch.no_grad()
def freeze(graph: GraphModule, lr: Tensor) -> None:
    """Stop all observers, after one look of the weights' at the weights that are now final.

    Without that look their scales would be those of before the last optimizer step. Then biases are
    rounded to what integer kernels hold.
    """
    freeze_activations(graph)
    graph.eval()
    graph(lr)
    graph.apply(disable_observer)
    _round_biases(graph)


def _round_biases(graph: GraphModule) -> None:
    """Biases of int8 layers to multiples of input scale times weight scale.

    Integer kernels add them as int32 on that grid. A bias off the grid shifts every output by a part
    of a step, and what is deployed would round other values up than what was trained.
    """
    for node in graph.graph.nodes:
        if node.target not in WEIGHTED or len(node.args) < 3 or node.args[2] is None:
            continue
        read, weight, bias = node.args[:3]
        if read.op != "call_module" or weight.op != "call_module":
            continue  # in a float island
        step = _scale(graph, read) * _scale(graph, weight)
        stored = graph.get_parameter(bias.target)
        stored.copy_((stored.double() / step).round() * step)


def _scale(graph: GraphModule, node: Node) -> Tensor:
    """Of the fake quantizer that a node calls, in double precision."""
    return graph.get_submodule(node.target).get_buffer("scale").double()  # pyright: ignore


def take_over(graph: GraphModule, trained: nn.Module) -> None:
    """Give `graph` the tensors of one trained at another shape, and make it compute as deployed."""
    graph.load_state_dict(trained.state_dict())
    graph.eval()
    graph.apply(disable_observer)


def fake_quantized(checkpoint: Checkpoint, lr_shape: LrShape) -> GraphModule:
    """A QAT checkpoint as an upscaler of one LR shape: what training measured, in eval mode."""
    assert checkpoint.scheme is not None
    model = create_model(checkpoint.model, scale=checkpoint.scale)
    graph = prepare(model, find_scheme(checkpoint.scheme), lr_shape)
    load_strict(
        graph,
        checkpoint.state,
        f"{checkpoint.model} x{checkpoint.scale} {checkpoint.scheme}",
        " A network's quantized form may change between versions of edgesr: if this checkpoint is of an"
        " older one, make it anew from its float parent with python -m recipes.qat --init.",
    )
    graph.eval()
    graph.apply(disable_observer)
    return graph


def convert(graph: GraphModule, *, fold_weights: bool) -> GraphModule:
    """Fake quantizers → quantize and dequantize operators. ExecuTorch and Core ML want the weights
    folded to int8, LiteRT wants them float with their quantize operators. `graph` is left as it is.
    """
    converted = convert_pt2e(copy.deepcopy(graph), fold_quantize=fold_weights)
    _dequantize_per_reader(converted)
    fold_padding(converted)
    return converted


def fold_padding(graph: GraphModule) -> None:
    """Padded weights (`portable.widened`) as constants of their own: XNNPACK takes no others."""
    pad = torch.ops.aten.pad.default
    for node in graph.graph.nodes:
        if node.target is not pad or node.args[0].op != "get_attr":
            continue
        name, weight = f"{node.name}_folded", attrgetter(node.args[0].target)(graph)
        graph.register_buffer(name, pad(weight.detach(), *node.args[1:]))
        with graph.graph.inserting_before(node):
            constant = graph.graph.get_attr(name)
        constant.meta = dict(node.meta)
        node.replace_all_uses_with(constant)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _dequantize_per_reader(graph: GraphModule) -> None:
    """Give every reader of an int8 value a dequantize operator of its own.

    ExecuTorch 1.5.1 fuses one with the operator that reads it. Where two share it and one of them is
    computed in float, the other's fusion leaves it with int8 (a .pte that does not load).
    """
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.quantized_decomposed.dequantize_per_tensor.default:
            for reader in list(node.users)[1:]:
                with graph.graph.inserting_after(node):
                    own = graph.graph.node_copy(node)
                reader.replace_input_with(node, own)
    graph.recompile()


def program_of(converted: GraphModule, lr: Tensor) -> ExportedProgram:
    """A converted graph as the program that every target lowers. `converted` is changed."""
    merge_groups(converted)
    return torch.export.export(converted, (lr,))


def quantized_program(
    checkpoint: Checkpoint, lr_shape: LrShape, *, fold_weights: bool
) -> ExportedProgram:
    """A QAT checkpoint as a program at one LR shape."""
    graph = convert(fake_quantized(checkpoint, lr_shape), fold_weights=fold_weights)
    return program_of(graph, torch.rand(lr_shape))


def calibrated_program(
    model: nn.Module, scheme: Scheme, lr: Tensor, *, fold_weights: bool
) -> ExportedProgram:
    """A float network that has seen one LR (1,3,h,w) and was not trained: for its cost, not its SR."""
    graph = prepare(model, scheme, (1, 3, lr.shape[2], lr.shape[3]))
    with torch.no_grad():
        graph(lr)
    freeze(graph, lr)
    return program_of(convert(graph, fold_weights=fold_weights), lr)


def float_program(checkpoint: Checkpoint, lr_shape: LrShape) -> ExportedProgram:
    """A float checkpoint's edge form as the program that every target lowers, at one LR shape."""
    edge = edge_form(checkpoint.build_float(), lr_shape[2:])
    graph = torch.export.export(edge, (torch.rand(lr_shape),)).module()
    assert isinstance(graph, GraphModule)
    fold_padding(graph)
    return torch.export.export(graph, (torch.rand(lr_shape),))
