"""Turn weights under the names of a network's authors into a checkpoint of ours.

python -m recipes.import_weights --model msfin-s --scale 4 --from MSFIN-S_X4.pt --out msfin-s_x4

FILE is a .safetensors file, PyTorch's .pt or .pth, or the prefix of a TensorFlow checkpoint (the
path before .index), which needs the extra `tensorflow`. No code in a file is ever run.
"""

import argparse
import pickle
import re
import struct
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from edgesr import checkpoint, cli
from edgesr.authors import NAMED, from_authors
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.files import sha256
from recipes.run import facts

State = dict[str, Tensor]

NOT_WEIGHTS = re.compile(
    r"(.*/)?(Adam(_\d+)?|Momentum|ExponentialMovingAverage|beta[12]_power(_\d+)?|global_step|save_counter)"
    r"|_CHECKPOINTABLE_OBJECT_GRAPH"
)
"""Names in a TensorFlow checkpoint that belong to its training."""
WRAPPERS = ("state_dict", "params_ema", "params", "model")
DAMAGED = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What torch.load raises for files that are cut, altered or of another kind, depending on where."""


def main() -> None:
    """Read, translate, check every tensor, save."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.import_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, metavar="NAME", help=f"one of {', '.join(NAMED)}")
    parser.add_argument("--scale", required=True, type=int, metavar="S", help="2, 3 or 4")
    parser.add_argument("--from", required=True, type=Path, metavar="FILE", dest="file")
    parser.add_argument("--out", required=True, type=Path, metavar="CKPT", help="checkpoint to write")
    args = parser.parse_args()
    target, _ = checkpoint.paths(args.out)
    if target.absolute() == args.file.absolute():
        raise UserError(f"--out {args.out} is the file that is read. Give another name.")

    state = from_authors(args.model, args.scale, read(args.file))
    source = args.file if args.file.is_file() else args.file.with_name(args.file.name + ".index")
    origin = facts() | {"imported": {"file": source.name, "sha256": sha256(source)}}
    checkpoint.save(Checkpoint(args.model, args.scale, None, state, origin), args.out)
    count = sum(tensor.numel() for tensor in state.values())
    print(f"{args.model} x{args.scale}: {len(state)} tensors, {count:,} parameters, all of them set")
    print(f"Saved {target}")
    print(
        f"Next: python -m recipes.evaluate --checkpoint {target} --benchmark Set5\n"
        "The weights are their authors' work: mind their licence before you pass them on."
    )


def read(path: Path) -> State:
    """The tensors of a file under the names they have there; UserError for any other file."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    if prefix.with_name(prefix.name + ".index").is_file():
        return read_tensorflow(prefix)
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix in (".pt", ".pth"):
        return read_pytorch(path)
    raise UserError(
        f"{path}: unknown kind of file {path.suffix!r}. Give .safetensors, .pt, .pth, or the "
        "prefix of a TensorFlow checkpoint, with its .index and .data files beside each other."
    )


def read_safetensors(path: Path) -> State:
    """The tensors of a .safetensors file."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}).") from error


def read_pytorch(path: Path) -> State:
    """The tensors of a state dict saved by torch.save, out of the usual wrappers."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path} could not be read as a state dict: {reason} It may be cut short, or hold "
            "a whole pickled model rather than tensors; code in a file is never run here."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds no state dict but a {type(content).__name__}.")
    others = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise UserError(f"{path} holds more than tensors: {others[0]!r} is none.")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def read_tensorflow(prefix: Path) -> State:
    """The tensors of a TensorFlow checkpoint, without those of its optimizer."""
    try:
        import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
    except ImportError as error:
        raise UserError(
            f"{prefix} is a TensorFlow checkpoint, and TensorFlow is not installed here. "
            "Type: pip install 'edgesr[tensorflow]'"
        ) from error
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = [name for name in reader.get_variable_to_shape_map() if not NOT_WEIGHTS.fullmatch(name)]
        return {name: torch.from_numpy(reader.get_tensor(name)) for name in sorted(names)}
    except (tf.errors.OpError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{prefix} is not a whole TensorFlow checkpoint ({error}).") from error


if __name__ == "__main__":
    cli.run(main)
