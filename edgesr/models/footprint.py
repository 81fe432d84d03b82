"""What a network needs besides arithmetic: memory while it runs, and how far a pixel looks.

**Peak memory**: bytes of all tensors alive at the worst moment of one forward pass in float32, as eager
PyTorch frees them. A view costs nothing; a storage lives until its last tensor dies. The LR image counts
(whoever passed it still holds it); weights do not, nor does what an operator needs inside itself.

**Receptive field**: the LR pixels that one SR pixel can depend on, all `GlobalStatistic`s held constant
(through those it depends on every pixel). Tensors hold, instead of values, where their values come from,
and each operator takes the maximum of what it reads. That is exact, channel by channel, and gives the
fields of all SR pixels at once. Where a coarse grid is enlarged by a ratio that is not whole (MAFFSRN,
OSFFNet), they change over the image by up to a sixth. The largest is reported.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgesr.models.blocks import GlobalStatistic

aten = torch.ops.aten
FIRST_STRIP, LONGEST_STRIP = 768, 6144  # LR pixels; all networks' strides divide them


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that operators make, each from when it is made until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def add(self, tensor: Tensor, *, counted: bool = True) -> None:
        """Follow the storage of `tensor`, unless it is followed already."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key in self._known:
            return

        def freed(_: object) -> None:
            del self._known[key]  # the next storage may come to lie at the same address
            self.live -= size

        self._known[key] = weakref.ref(storage, freed)
        self.live += size
        self.peak = max(self.peak, self.live)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, then count what is new in its outputs."""
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self.add(output)
        return outputs


@torch.no_grad()
def peak_memory(model: nn.Module, lr_size: tuple[int, int]) -> int:
    """Bytes at the peak of a forward pass over an LR image (height, width).

    The network is in eval mode. On the meta device nothing is computed, and the bytes are the same.
    """
    weights = [*model.parameters(), *model.buffers()]
    lr = torch.empty(1, 3, *lr_size, device=weights[0].device if weights else "meta")
    memory = LiveBytes()
    for weight in weights:
        memory.add(weight, counted=False)
    memory.add(lr)
    with memory:
        model(lr)
    return memory.peak


def is_global(model: nn.Module) -> bool:
    """Whether every SR pixel depends on the whole image, through a statistic of it."""
    return any(isinstance(module, GlobalStatistic) for module in model.modules())


@torch.no_grad()
def receptive_field(model: nn.Module, *, smallest: int = 1, multiple: int = 1) -> tuple[int, int]:
    """Height and width in LR pixels of the largest field that an SR pixel has, statistics held constant.

    The network is on the CPU and in eval mode; `smallest` and `multiple` are those of its row in MODELS.
    """
    thickness = -(-smallest // multiple) * multiple
    kernels = [layer.kernel_size for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    square = all(height == width for height, width in kernels)
    with _statistics_held(model):
        width = _extent(model, thickness, 3)
        return width if square else _extent(model, thickness, 2), width


def _extent(model: nn.Module, thickness: int, along: int) -> int:
    """The longest field along dimension 2 or 3, in a strip that is at least twice as long.

    The strip is as thin as the network allows: what happens across it does not matter.
    """
    length = FIRST_STRIP
    while length <= LONGEST_STRIP:
        shape = [2, 3, thickness, thickness]
        shape[along] = length
        position = torch.arange(length, dtype=torch.float32)
        place = torch.stack([position, -position])[:, None, None]  # (2,1,1,length)
        place = place if along == 3 else place.transpose(2, 3)
        last, minus_first = model(Reach(place.expand(shape).contiguous())).reach.amax(1)
        inside = (minus_first < 0) & (last < length - 1)  # nothing is cut off by the strip's ends
        extent = int((last + minus_first + 1)[inside].max()) if inside.any() else length
        if 2 * extent <= length:
            return extent
        length *= 2
    raise NotImplementedError(f"A field longer than {LONGEST_STRIP // 2} LR pixels is not looked for.")


@contextmanager
def _statistics_held(model: nn.Module) -> Iterator[None]:
    """Let every global statistic be a number that comes from no pixel."""
    statistics = [module for module in model.modules() if isinstance(module, GlobalStatistic)]
    for module in statistics:
        module.forward = lambda x: torch.zeros(1, x.shape[1], 1, 1)
    try:
        yield
    finally:
        for module in statistics:
            del module.forward  # the class's own shows again


class Reach(Tensor):
    """Where values come from: (2,C,h,w), two images that no operator mixes.

    The first holds the last LR column that each value depends on, the second minus the first column, so
    that of several inputs the maximum counts in both. Weights come from no pixel: -inf. What lies beyond
    the ends of the strip is inf and marks every field that it belongs to. Where all channels come from
    the same, one is kept and expanded, which makes most operators cheap.
    """

    reach: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, reach: Tensor) -> "Reach":
        """PyTorch takes it for contiguous floats of that shape."""
        made = Tensor._make_wrapper_subclass(cls, reach.shape, dtype=torch.float32)
        made.reach = reach
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What `func` does to where values come from. NotImplementedError if nobody said."""
        pointwise = _pointwise if torch.Tag.pointwise in func.tags else None
        rule = RULES.get(func.overloadpacket, pointwise)
        if rule is None or func._schema.is_mutable:
            raise NotImplementedError(
                f"Where do the values of {func} come from? Add it to RULES in {__name__}. If it "
                "computes a number of the whole image, make it a GlobalStatistic."
            )
        plain = [tree_map(_sources, argument) for argument in args]
        return tree_map(_wrapped, rule(func, *plain, **(kwargs or {})))


def _sources(argument: Any) -> Any:
    if isinstance(argument, Reach):
        return argument.reach
    if isinstance(argument, Tensor) and argument.is_floating_point():
        return torch.tensor(-torch.inf).expand(argument.shape)
    return argument


def _wrapped(output: Any) -> Any:
    return Reach(output) if isinstance(output, Tensor) and output.is_floating_point() else output


def _itself(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Moves values, or takes the largest: what is true of values is true of where they come from."""
    return func(*args, **kwargs)


def _pointwise(func: object, *args: Any, **_: Any) -> Tensor:
    tensors = torch.broadcast_tensors(*(value for value in args if isinstance(value, Tensor)))
    shape = tensors[0].shape
    for dim in range(len(shape)):
        if all(tensor.stride(dim) == 0 for tensor in tensors):
            tensors = [tensor.narrow(dim, 0, 1) for tensor in tensors]
    return reduce(torch.maximum, tensors).expand(shape)


def _convolution(func: object, x: Tensor, weight: Tensor, *options: Any) -> Tensor:
    _, stride, padding, dilation, transposed, _, groups = options
    kernel = weight.shape[2:]
    x = x[:, :1] if x.stride(1) == 0 else x.unflatten(1, (groups, -1)).amax(2)
    if transposed:
        assert tuple(stride) == tuple(kernel), "kernels of a transposed convolution that overlap"
        x = x.repeat_interleave(kernel[0], 2).repeat_interleave(kernel[1], 3)
    else:
        (up, left), beyond = padding, torch.inf if x.shape[3] > x.shape[2] else -torch.inf
        x = F.pad(F.pad(x, (left, left), value=beyond), (0, 0, up, up), value=-beyond)
        x = F.max_pool2d(x, kernel, stride, dilation=dilation)
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    if x.shape[1] == 1:
        return x.expand(-1, channels, -1, -1)
    return x.repeat_interleave(channels // groups, 1)


def _dense(func: object, *args: Tensor) -> Tensor:
    x, weight = args[-2:]  # (n,in) and (in,out); there may be a bias before them
    return x.amax(-1, keepdim=True).expand(-1, weight.shape[1])


def _layer_norm(func: object, x: Tensor, shape: Sequence[int], *_: Any) -> tuple[Tensor, None, None]:
    normalised = tuple(range(-len(shape), 0))
    return x.amax(normalised, keepdim=True).expand(x.shape), None, None


def _interpolation(*taps: int) -> Callable[..., Tensor]:
    """The rule that reads, along both axes, these neighbours of the pixel at or before each place."""

    def rule(func: object, x: Tensor, size: Sequence[int], align_corners: bool, *_: Any) -> Tensor:
        assert not align_corners
        for dim, length in zip((2, 3), size, strict=True):
            place = (torch.arange(length, dtype=torch.float64) + 0.5) * x.shape[dim] / length - 0.5
            before = place.floor().long()
            between = (place > before).long()  # a place on a pixel gives its neighbours no weight
            read = [(before + tap * between).clamp(0, x.shape[dim] - 1) for tap in taps]
            x = reduce(torch.maximum, [x.index_select(dim, index) for index in read])
        return x

    return rule


# All that is not pointwise, and what PyTorch forgot to tag as pointwise.
RULES: dict[Any, Callable[..., Any]] = {
    aten.convolution: _convolution,
    aten.addmm: _dense,
    aten.mm: _dense,
    aten.native_layer_norm: _layer_norm,
    aten.native_batch_norm: lambda func, x, *_: (x, None, None),  # in eval mode: a factor and an offset
    aten.upsample_bilinear2d: _interpolation(0, 1),
    aten.upsample_bicubic2d: _interpolation(-1, 0, 1, 2),
    aten.upsample_nearest2d: _itself,
    aten.max_pool2d_with_indices: _itself,
    aten.replication_pad2d: _itself,
    aten.pixel_shuffle: _itself,
    aten.transpose: _itself,
    aten.permute: _itself,
    aten.slice: _itself,
    aten.index: _itself,
    aten.clone: _itself,
    aten.cat: _itself,
    aten.view: lambda func, x, shape: x.reshape(shape),
    aten._unsafe_view: lambda func, x, shape: x.reshape(shape),
    aten._prelu_kernel: _pointwise,
}
