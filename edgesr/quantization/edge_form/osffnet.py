"""OSFFNet for integer kernels: copies, normalisations and factors folded, dense layers as 1x1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import BSConv, ChannelAttention, Scalar
from edgesr.models.osffnet import Distillation, OSFFNet, Perceptron
from edgesr.quantization.edge_form.folding import affine, bias_of, convolution, weight_of
from edgesr.quantization.edge_form.parts import FloatIsland, Island


class ChannelNorm(FloatIsland):
    """LayerNorm over the channels without its affine part, which the next layer takes over.

    Means over channels are 1x1 convolutions: a mean over another dimension than height and width
    leaves the delegate.
    """

    average: Tensor
    eps: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        (channels,) = norm.normalized_shape
        self.register_buffer("average", torch.full((1, channels, 1, 1), 1 / channels), persistent=False)
        self.register_buffer("eps", torch.full((1, 1, 1, 1), norm.eps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w) of mean 0 and deviation 1 over C."""
        centred = x - F.conv2d(x, self.average)
        variance = F.conv2d(centred * centred, self.average)
        return centred / torch.sqrt(variance + self.eps)


class EdgePerceptron(nn.Module):
    """`Perceptron` on (N,C,h,w) throughout: no permutation, dense layers as 1x1 convolutions."""

    def __init__(self, model: Perceptron) -> None:
        super().__init__()
        self.norm = ChannelNorm(model.norm)
        widen, narrow = model.widen.weight.detach().double(), model.narrow.weight.detach().double()
        scale, shift = model.norm.weight.detach().double(), model.norm.bias.detach().double()
        bias = model.widen.bias.detach().double() + widen @ shift
        self.widen = convolution((widen * scale)[:, :, None, None], bias)
        self.narrow = convolution(narrow[:, :, None, None], model.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return self.narrow(F.gelu(self.widen(self.norm(x)))) + x


class EdgeOSFFNet(nn.Module):
    """Each stage's input and normalisation as the sum of two depthwise 1x1 convolutions."""

    def __init__(self, model: OSFFNet) -> None:
        super().__init__()
        self.head = dense_head(model.head, model.copies)
        self.of_trunk, self.of_shallow = nn.ModuleList(), nn.ModuleList()
        for index, stage in enumerate(model.stages):
            assert isinstance(stage, Distillation)
            scale, shift = folded_norm(stage.norm)
            self.of_trunk.append(affine(scale, shift))
            if index and len(model.shallow):  # the first stage reads the shallow features alone
                factor = model.shallow[index - 1]
                assert isinstance(factor, Scalar)
                self.of_shallow.append(affine(factor.scale.item() * scale, None))
            stage.norm = nn.Identity()
            assert isinstance(stage.perceptron, Perceptron)
            stage.perceptron = EdgePerceptron(stage.perceptron)
        self.stages, self.fields = model.stages, model.fields
        self.fuse, self.mix, self.last, self.shuffle = model.fuse, model.mix, model.last, model.shuffle
        for module in list(self.modules()):
            if isinstance(module, ChannelAttention):  # a deviation is a small difference of large sums
                module.statistic = Island(module.statistic)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        shallow = self.head(lr)
        x, fields = shallow, []
        for index, (stage, field) in enumerate(zip(self.stages, self.fields, strict=True)):
            base = self.of_trunk[index](x)
            if index and len(self.of_shallow):
                base = base + self.of_shallow[index - 1](shallow)
            x = stage(base)
            fields.append(field(x))
        fused = self.mix(F.gelu(self.fuse(torch.cat(fields, 1))))
        return self.shuffle(self.last(fused + shallow))


def dense_head(head: BSConv, copies: int) -> nn.Conv2d:
    """The copies' weights summed, and the two halves of the BSConv as one dense 3x3 convolution."""
    pointwise, depthwise = head[0], head[1]
    assert isinstance(pointwise, nn.Conv2d)
    assert isinstance(depthwise, nn.Conv2d)
    mixing = weight_of(pointwise)[:, :, 0, 0].unflatten(1, (copies, 3)).sum(1)
    weight = weight_of(depthwise) * mixing[:, :, None, None]
    return convolution(weight, bias_of(depthwise), padding=1)


def folded_norm(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A BatchNorm in eval mode as scale and shift per channel, in double precision."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.detach().double() - scale * norm.running_mean.double()
