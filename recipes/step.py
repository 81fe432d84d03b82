"""One optimizer step, in whichever of the ways the settings ask for: what `fit` does again and again."""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgesr.errors import UserError
from recipes import processes
from recipes.settings import Settings

LOSSES = {"l1": F.l1_loss, "l2": F.mse_loss}


class Step:
    """A network that learns. Nothing here waits for a GPU: loss and norm stay where they are made."""

    def __init__(self, network: nn.Module, settings: Settings, device: torch.device) -> None:
        """Take a network that is on `device`. UserError for what cannot be trained as asked."""
        self.network, self.settings, self.device = network, settings, device
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        network.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.layout = layout
        allow_tf32(settings.precision == "tf32")
        check_shares(network, settings, device)
        self.optimizer = make_optimizer(network, settings)
        self.average: AveragedModel | None = None
        if settings.ema is not None:
            self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
        self.forward: nn.Module = network

    @property
    def result(self) -> nn.Module:
        """The network to measure and to keep: with averaged weights, where averages are asked for."""
        return self.average.module if self.average else self.network

    def begin(self) -> None:
        """Wrap the network for several processes and for the compiler, once its weights are those to
        start from: the first process' weights become everyone's.
        """
        if processes.count() > 1:
            ids = [self.device] if self.device.type == "cuda" else None
            self.forward = DistributedDataParallel(self.network, device_ids=ids)
        if self.settings.compile != "no":
            mode = "reduce-overhead" if self.settings.compile == "cuda-graphs" else "default"
            self.forward = torch.compile(self.forward, mode=mode)  # pyright: ignore[reportAttributeAccessIssue]

    def __call__(self, lr: Tensor, hr: Tensor, rate: float) -> Tensor:
        """Train on uint8 LR (N,3,p,p) and HR at learning rate `rate`; loss and gradient norm, [2].

        The loss is that of this process' patches.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        parts = self.settings.accumulate
        losses = []
        for number, (small, large) in enumerate(zip(lr.chunk(parts), hr.chunk(parts), strict=True)):
            with self._not_yet_averaged(number < parts - 1):
                loss = self._loss(self._floats(small), self._floats(large)) / parts
                loss.backward()
            losses.append(loss.detach())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip or math.inf)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return torch.stack([torch.stack(losses).sum(), norm.detach()])

    def _floats(self, images: Tensor) -> Tensor:
        """uint8 → float32 in [0,1], on the device: a quarter of the bytes to move."""
        there = images.to(self.device, non_blocking=True)
        return there.to(torch.float32, memory_format=self.layout).div_(255)

    def _loss(self, lr: Tensor, hr: Tensor) -> Tensor:
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            sr = self.forward(lr)
        return LOSSES[self.settings.loss](sr.float(), hr)

    def _not_yet_averaged(self, more: bool) -> "nullcontext[None]":
        """Between processes, gradients are averaged once a step: after the last of its parts."""
        several = isinstance(self.forward, DistributedDataParallel)
        return self.forward.no_sync() if more and several else nullcontext()  # pyright: ignore


def make_optimizer(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """The optimizer of the settings. UserError where it takes a library that is not installed."""
    if settings.optimizer == "adam":
        # beta and epsilon as in all five papers; fused: one kernel for all tensors
        return torch.optim.Adam(network.parameters(), lr=settings.lr, fused=True)
    try:
        from pytorch_optimizer import AdamP
    except ImportError:
        raise UserError(
            "AdamP is in the library pytorch-optimizer. Type: pip install 'edgesr[train]', or give "
            "--optimizer adam."
        ) from None
    if settings.channels_last:
        raise UserError("AdamP projects weights that lie as usual: leave --channels-last out.")
    return AdamP(network.parameters(), lr=settings.lr, foreach=True)


def check_shares(network: nn.Module, settings: Settings, device: torch.device) -> None:
    """UserError where a step would depend on how many processes share it."""
    each, parts = settings.batch // processes.count(), settings.accumulate
    processes.share(settings.batch)
    if each % parts:
        raise UserError(
            f"--accumulate {parts} does not divide the {each} patches of a process. Give a number that "
            "does."
        )
    if processes.count() > 1 and any(isinstance(module, _BatchNorm) for module in network.modules()):
        if device.type != "cuda":
            raise UserError(
                "This network has batch normalisation, which PyTorch synchronises between processes on "
                "GPUs only. Start one process on a CPU."
            )
        nn.SyncBatchNorm.convert_sync_batchnorm(network)


def allow_tf32(allowed: bool) -> None:
    """Whether a GPU may round the factors of float32 products to 10 bits."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
