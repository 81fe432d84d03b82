"""Parameters and multiply-adds, counted on the network itself and in each paper's own way.

True multiply-adds are the weight products of every convolution, transposed convolution and linear layer,
for a 1280 x 720 SR image; biases, activations and resizing count nothing. The network runs at that size
on the meta device (shapes only): with strides inside, the count does not grow linearly with the area.

Which rule a paper used was found by reproducing its figures; `RULES` holds what was found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgesr.models import create_model, find_model
from edgesr.models.footprint import is_global, peak_memory, receptive_field
from edgesr.models.published import printed_counts

Products = Callable[[nn.Module, int], int]
"""A layer and how many positions its weights are applied at → multiply-adds."""

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm2d, nn.LayerNorm)


def every_weight(layer: nn.Module, positions: int) -> int:
    """True multiply-adds."""
    return _weight(layer).numel() * positions if isinstance(layer, LAYERS) else 0


def torchinfo(layer: nn.Module, positions: int) -> int:
    """What torchinfo counts: a bias like a weight; all but convolutions once, not per position."""
    own = sum(parameter.numel() for parameter in layer.parameters())
    return own * positions if isinstance(layer, nn.Conv2d) else own


def torchsummaryx(layer: nn.Module, positions: int) -> int:
    """What torchsummaryX counts: no bias, and a weight at each position only if it is called "weight".

    The two halves of a weight-normed one, weight_g and weight_v, are counted once.
    """
    if parametrize.is_parametrized(layer, "weight"):
        return sum(half.numel() for name, half in layer.named_parameters() if name != "bias")
    return every_weight(layer, positions)


@dataclass(frozen=True)
class Rule:
    """How the paper of a family counts and prints."""

    products: Products | None
    """None where the paper prints no multiply-adds; the true ones stand in."""
    cut: bool
    """Whether thousands of parameters are cut instead of rounded."""
    lr_x3: tuple[int, int]
    """Height and width of LR at x3, where 1280 is no multiple of the scale."""
    slopes: bool = True
    """Whether PReLU slopes are among the parameters."""


# At x3 most papers take whole LR pixels. LFFN's figures need exactly a ninth of the SR area, 102,400
# pixels; with that area MSFIN, which works at SR size, costs the same at every scale.
WHOLE, AREA = (240, 426), (320, 320)

RULES = {
    "bicubic": Rule(None, cut=False, lr_x3=WHOLE),
    "lffn": Rule(every_weight, cut=True, lr_x3=AREA, slopes=False),
    "msfin": Rule(None, cut=False, lr_x3=AREA),
    "maffsrn": Rule(torchsummaryx, cut=True, lr_x3=WHOLE),
    "osffnet": Rule(torchinfo, cut=False, lr_x3=WHOLE),
    "mlrn": Rule(None, cut=False, lr_x3=WHOLE),
}

# (model, scale) -> why a printed figure is not met.
NOT_MET = {("maffsrn", 3): "34.257 G by the rule that gives the paper's five others, printed 34.2"}


NO_PAPER = Rule(None, cut=False, lr_x3=WHOLE)


def family(model: str) -> str:
    """The key in `RULES` of one of `MODELS`: a size follows after a hyphen."""
    return model.split("-")[0]


def rule_of(of: str) -> Rule:
    """How a family is counted; one without a row in `RULES` has no paper."""
    return RULES.get(of, NO_PAPER)


def lr_size(of: str, scale: int) -> tuple[int, int]:
    """Height and width of the LR image that a family's counts at this scale are for."""
    return rule_of(of).lr_x3 if scale == 3 else (720 // scale, 1280 // scale)


@dataclass(frozen=True)
class Figure:
    """A count in its paper's counting, beside what the paper prints."""

    count: int
    printed: int | None
    unit: int
    """Of the last digit that the paper prints."""
    cut: bool = False

    @property
    def difference(self) -> int | None:
        """Ours, as the paper would print it, less the printed figure; 0 where they agree."""
        if self.printed is None:
            return None
        units = self.count // self.unit if self.cut else (2 * self.count + self.unit) // (2 * self.unit)
        return units * self.unit - self.printed


@dataclass(frozen=True)
class Counts:
    """Of one network at one scale."""

    params: int
    macs: int
    """True multiply-adds."""
    params_paper: Figure
    macs_paper: Figure


@dataclass(frozen=True)
class Complexity:
    """All that one network costs at one scale."""

    model: str
    scale: int
    counts: Counts
    memory: int
    """Peak of the activations, in bytes."""
    field: tuple[int, int] | None
    """Receptive field in LR pixels, height and width; None where it was not measured."""
    everywhere: bool
    """Whether an SR pixel depends on the whole image, too."""


def complexity(name: str, scale: int, *, field: bool = True) -> Complexity:
    """Measure one network of the table. UserError for an unknown name or scale."""
    row, of = find_model(name), family(name)
    model = on_meta(lambda: create_model(name, scale=scale))
    counts = count(model, of, scale, printed_counts(name, scale))
    memory = peak_memory(model, lr_size(of, scale))
    seen = None
    if field:
        model = model.to_empty(device="cpu")  # what is in its weights does not matter
        seen = receptive_field(model, smallest=row.smallest, multiple=row.lr_multiple(scale))
    return Complexity(name, scale, counts, memory, seen, is_global(model))


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """A network in eval mode that has shapes only: no memory, no arithmetic."""
    with torch.device("meta"):
        return build().eval()


def count(model: nn.Module, of: str, scale: int, printed: tuple[int | None, int | None]) -> Counts:
    """Count a network (on the meta device) by the rule of a family.

    `printed` are its parameters and multiply-adds in the paper.
    """
    rule, (printed_params, printed_macs) = rule_of(of), printed
    params = sum(parameter.numel() for parameter in model.parameters())
    slopes = [p.numel() for m in model.modules() if isinstance(m, nn.PReLU) for p in m.parameters()]
    params_paper = params if rule.slopes else params - sum(slopes)
    to_the_last_digit = printed_params is not None and printed_params % 1000 != 0
    macs, macs_paper = multiply_adds(
        model, lr_size(of, scale), every_weight, rule.products or every_weight
    )
    return Counts(
        params,
        macs,
        Figure(params_paper, printed_params, 1 if to_the_last_digit else 1000, rule.cut),
        Figure(macs_paper, printed_macs, 100_000_000),
    )


@torch.no_grad()
def multiply_adds(model: nn.Module, lr_size: tuple[int, int], *rules: Products) -> list[int]:
    """Run an LR image (height, width) through a network on the meta device; one total for each rule."""
    totals = [0] * len(rules)

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for index, rule in enumerate(rules):
            totals[index] += rule(layer, _positions(layer, inputs[0], output))

    counted = [layer for layer in model.modules() if isinstance(layer, LAYERS + NORMS)]
    handles = [layer.register_forward_hook(add) for layer in counted]
    if counted:
        model(torch.empty(1, 3, *lr_size, device="meta"))
    for handle in handles:
        handle.remove()
    return totals


def _positions(layer: nn.Module, given: Tensor, made: Tensor) -> int:
    """Pixels that the weights are applied at: of the output, or of what is spread over a larger one."""
    if isinstance(layer, nn.Linear):
        return prod(made.shape[:-1])
    return prod((given if isinstance(layer, nn.ConvTranspose2d) else made).shape[2:])


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight
