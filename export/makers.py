"""Our networks in other makers' runtimes, by those makers' own tools: what a user would do without us.

Each takes the published float network and, for int8, quantizes it after training, calibrated on LR
tiles. The only file that imports those runtimes, and it does so when one is asked for.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr import Upscaler
from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.errors import UserError
from edgesr.files import size

AGREE = 1e-3
"""How far a float form may be from the float network; what is further computes something else."""
CALIBRATED_ON = 24
"""Drawn images."""
INPUT, OUTPUT = "lr", "sr"


@dataclass(frozen=True)
class Order:
    """What a maker gets."""

    network: nn.Module
    """The published network: float, in eval mode."""
    images: list[Tensor]
    """LR tiles (1,3,h,w) to calibrate on. Files are made for their size."""
    threads: int
    folder: Path
    """Where its files go."""

    @cached_property
    def program(self) -> ExportedProgram:
        """The network captured at the size of the images, once for all who begin with that."""
        return torch.export.export(self.network, (self.images[0],))


@dataclass(frozen=True)
class Maker:
    """One runtime in one precision."""

    packages: tuple[str, ...]
    """Importable names of what it takes."""
    make: Callable[[Order], tuple[Upscaler, list[Path]]]
    """The network as it runs one tile there, and the files that it takes."""
    exact: bool = False
    """Whether it is a float form, which must compute what the network does."""


@dataclass(frozen=True)
class Made:
    """A network as a maker runs it."""

    name: str
    upscale: Upscaler
    """One tile."""
    bytes: int
    off: float
    """Its largest difference from the float network's SR of one tile of noise."""

    @property
    def warning(self) -> str | None:
        """What is wrong with it, in words."""
        if self.off <= AGREE or not MAKERS[self.name].exact:
            return None
        return f"{self.name} computes something else: up to {self.off:.2g} from our float network."


def versions() -> dict[str, str]:
    """Of the makers' packages."""
    names = dict.fromkeys(package for maker in MAKERS.values() for package in maker.packages)
    return {name: version(name) if find_spec(name) else "not installed" for name in names}


def calibration(scale: int, tile: tuple[int, int]) -> list[Tensor]:
    """LR tiles (1,3,*tile) of images that the project draws: nothing that is scored on."""
    height, width = tile
    drawn = drawn_pairs(scale, CALIBRATED_ON, size=scale * max(tile))
    return [to_tensor(pair.lr)[:, :, :height, :width].contiguous() for pair in drawn]


def make_all(order: Order) -> Iterator[Made | str]:
    """What each of `MAKERS` makes of a network, or in words why it makes nothing."""
    for name in MAKERS:
        try:
            yield make(name, order)
        except UserError as error:
            yield str(error)


def make(name: str, order: Order) -> Made:
    """What one of `MAKERS` makes of a network. UserError if it cannot, or is not installed."""
    maker, noise = MAKERS[name], torch.rand_like(order.images[0])
    if missing := [package for package in maker.packages if find_spec(package) is None]:
        wanted = ", ".join(missing)
        raise UserError(f"{name} is left out, for want of {wanted}: pip install 'edgesr[peers]'")
    try:
        with redirect_stdout(sys.stderr), torch.no_grad():  # they talk; stdout is for the table
            upscale, files = maker.make(order)
            off = (upscale(noise) - order.network(noise)).abs().max().item()
    except Exception as error:  # foreign converters raise whatever they like
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        words = " ".join(str(error).split())[:300]
        raise UserError(f"{name} is left out: {kind}{words}") from error
    return Made(name, upscale, sum(size(file) for file in files), off)


def _onnx(order: Order) -> Path:
    """The network as ONNX, which both precisions of ONNX Runtime begin with."""
    path = order.folder / "float.onnx"
    if not path.exists():
        torch.onnx.export(
            order.program,
            (),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    return path


def _onnxruntime_fp32(order: Order) -> tuple[Upscaler, list[Path]]:
    path = _onnx(order)
    return _in_onnxruntime(path, order.threads), [path]


def _onnxruntime_int8(order: Order) -> tuple[Upscaler, list[Path]]:
    """Static, QDQ, weights per channel, the ranges of activations by minimum and maximum."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        left = iter(order.images)

        def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore
            image = next(self.left, None)
            return None if image is None else {INPUT: image.numpy()}

    prepared, path = order.folder / "prepared.onnx", order.folder / "int8.onnx"
    quant_pre_process(_onnx(order), prepared, skip_symbolic_shape=True)  # every shape is fixed
    quantization.quantize_static(
        prepared, path, Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True
    )
    return _in_onnxruntime(path, order.threads), [path]


def _in_onnxruntime(path: Path, threads: int) -> Upscaler:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda lr: torch.from_numpy(session.run([OUTPUT], {INPUT: lr.numpy()})[0])


def _ncnn_int8(order: Order) -> tuple[Upscaler, list[Path]]:
    raise UserError(
        "the programs that calibrate and convert, ncnn2table and ncnn2int8, are in no wheel."
    )


def _ncnn(order: Order, half: bool) -> tuple[Upscaler, list[Path]]:
    """`half`: weights in half precision; what is computed so depends on the processor."""
    ncnn, pnnx = import_module("ncnn"), import_module("pnnx")
    name, example = f"fp{16 if half else 32}", order.images[0]
    torch.jit.save(torch.jit.trace(order.network, example), order.folder / f"{name}.pt")
    shape = f"inputshape={list(example.shape)}".replace(" ", "")
    command = [pnnx.EXEC_PATH, f"{name}.pt", shape, f"fp16={int(half)}"]
    done = subprocess.run(command, cwd=order.folder, capture_output=True, text=True, check=False)
    files = [order.folder / f"{name}.ncnn.{part}" for part in ("param", "bin")]
    if done.returncode or not all(file.exists() for file in files):
        raise UserError(f"pnnx ended with {done.returncode}: {done.stderr[-200:]}")
    net = ncnn.Net()
    net.opt.num_threads = order.threads
    if not half:
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(files[0])) or net.load_model(str(files[1])):
        raise UserError("ncnn does not load what pnnx wrote.")

    def upscale(lr: Tensor) -> Tensor:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(lr[0].numpy()))
        status, sr = extractor.extract("out0")
        if status:
            raise RuntimeError(f"ncnn ended with {status}")
        return torch.from_numpy(np.array(sr))[None]

    return upscale, files


def _openvino(order: Order, precision: str) -> tuple[Upscaler, list[Path]]:
    """fp16: weights in half precision; what is computed so depends on the processor."""
    return _in_openvino(order, precision, _openvino_model(order))


def _openvino_int8(order: Order) -> tuple[Upscaler, list[Path]]:
    """NNCF's quantization after training, as it comes."""
    nncf = import_module("nncf")
    images = nncf.Dataset([image.numpy() for image in order.images])
    quantized = nncf.quantize(_openvino_model(order), images, subset_size=len(order.images))
    return _in_openvino(order, "int8", quantized)


def _openvino_model(order: Order) -> Any:
    return import_module("openvino").convert_model(order.program)


def _in_openvino(order: Order, name: str, model: Any) -> tuple[Upscaler, list[Path]]:
    """The file is written and read again, so that what runs is what is counted."""
    openvino = import_module("openvino")
    path = order.folder / f"{name}.xml"
    openvino.save_model(model, path, compress_to_fp16=name == "fp16")
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": order.threads}
    if name == "fp32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = openvino.Core().compile_model(path, "CPU", settings)

    def upscale(lr: Tensor) -> Tensor:
        return torch.from_numpy(compiled(lr.numpy())[0].copy())  # the next run writes there

    return upscale, [path, path.with_suffix(".bin")]


_ONNX = ("onnx", "onnxscript", "onnxruntime")
MAKERS: dict[str, Maker] = {
    "ONNX Runtime fp32": Maker(_ONNX, _onnxruntime_fp32, exact=True),
    "ONNX Runtime int8": Maker(_ONNX, _onnxruntime_int8),
    "ncnn fp32": Maker(("ncnn", "pnnx"), partial(_ncnn, half=False), exact=True),
    "ncnn fp16": Maker(("ncnn", "pnnx"), partial(_ncnn, half=True)),
    "ncnn int8": Maker((), _ncnn_int8),
    "OpenVINO fp32": Maker(("openvino",), partial(_openvino, precision="fp32"), exact=True),
    "OpenVINO fp16": Maker(("openvino",), partial(_openvino, precision="fp16")),
    "OpenVINO int8": Maker(("openvino", "nncf"), _openvino_int8),
}
