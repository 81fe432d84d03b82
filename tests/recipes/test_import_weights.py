"""Files of any kind become a checkpoint or a sentence, and never run."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from edgesr import checkpoint
from edgesr.authors import MSFIN_NAMES
from edgesr.errors import UserError
from edgesr.models import create_model
from recipes import import_weights
from recipes.import_weights import read

Import = Callable[..., checkpoint.Checkpoint]


@pytest.fixture
def theirs() -> dict[str, Tensor]:
    """A fresh MSFIN-S under its authors' names."""
    state = {}
    for ours, tensor in create_model("msfin-s", scale=4).state_dict().items():
        layer = next(key for key, name in MSFIN_NAMES.items() if ours.startswith(name + "."))
        rest = ours.removeprefix(MSFIN_NAMES[layer])
        rest = rest.replace("squeeze", "conv_du.0").replace("excite", "conv_du.2")
        state[layer + rest] = tensor
    return state


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    def run(file: Path, model: str = "msfin-s", scale: int = 4) -> checkpoint.Checkpoint:
        out = tmp_path / "out"
        options = ["--model", model, "--scale", str(scale), "--from", str(file), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["import_weights", *options])
        import_weights.main()
        return checkpoint.load(out)

    return run


def test_a_safetensors_file(theirs: dict[str, Tensor], imported: Import, tmp_path: Path):
    save_file(theirs, tmp_path / "theirs.safetensors")
    ours = imported(tmp_path / "theirs.safetensors")
    assert (ours.model, ours.scale, ours.scheme) == ("msfin-s", 4, None)
    assert ours.origin["imported"]["file"] == "theirs.safetensors"
    assert torch.equal(ours.build_float().state_dict()["head.weight"], theirs["head.weight"])


@pytest.mark.parametrize("wrapper", [None, "state_dict", "params", "params_ema", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_pytorch_file(theirs: dict[str, Tensor], tmp_path: Path, wrapper: str | None, prefix: str):
    content = {prefix + name: tensor for name, tensor in theirs.items()}
    torch.save({wrapper: content, "epoch": 3} if wrapper else content, tmp_path / "theirs.pt")
    found = read(tmp_path / "theirs.pt")
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[name], theirs[name]) for name in theirs)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, 2))]
)
def test_code_in_a_file_does_not_run(tmp_path: Path, save: Callable[[Trap, Path], object]):
    save(Trap(tmp_path / "sprung"), tmp_path / "theirs.pth")
    with pytest.raises(UserError, match="could not be read as a state dict"):
        read(tmp_path / "theirs.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_file(theirs: dict[str, Tensor], tmp_path: Path, kind: str, kept: float):
    path = tmp_path / ("theirs.safetensors" if kind == "safetensors" else "theirs.pt")
    if kind == "safetensors":
        save_file(theirs, path)
    else:
        torch.save(theirs, path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"not a whole|could not be read"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("theirs.bin", b"1234", "unknown kind of file '.bin'"),
        ("theirs.pt", torch.zeros(3), "holds no state dict but a Tensor"),
        ("theirs.pt", {}, "holds no state dict"),
        ("theirs.pt", {"weight": torch.zeros(3), "epoch": 3}, "'epoch' is none"),
        ("theirs.pt", None, "does not exist"),
        ("theirs.index", None, "does not exist"),
    ],
)
def test_a_foreign_file(tmp_path: Path, name: str, content: object, message: str):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_the_file_that_is_read_is_not_replaced(imported: Import, tmp_path: Path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "out.safetensors")
    before = (tmp_path / "out.safetensors").read_bytes()
    with pytest.raises(UserError, match="Give another name"):
        imported(tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == before


def test_without_tensorflow_the_message_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "model.ckpt-9.index").touch()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"pip install 'edgesr\[tensorflow\]'"):
        read(tmp_path / "model.ckpt-9")


@pytest.fixture
def tensorflow_checkpoint(tmp_path: Path, shared: Path) -> Path:
    """The authors' tensors as TensorFlow 1 saved them, among those of an optimizer."""
    tf = pytest.importorskip("tensorflow", reason="needs the optional extra 'tensorflow'")
    theirs = load_file(shared / "reference" / "lffn_s_x4.authors.safetensors")
    tensors = {name: tensor.numpy() for name, tensor in theirs.items()}
    head = tensors["feature_conv1/conv_W"]
    tensors |= {f"feature_conv1/conv_W/{slot}": 0 * head for slot in ("Adam", "Adam_1")}
    tensors |= dict.fromkeys(("global_step", "beta1_power", "beta2_power_1"), head[0, 0, 0, 0])
    prefix = tmp_path / "model.ckpt-9"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(tensor) for tensor in tensors.values()],
    )
    if not prefix.with_name(prefix.name + ".index").exists():  # SaveV2 writes one shard to merge
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[str(prefix)], destination_prefix=str(prefix))
    return prefix


def test_a_tensorflow_checkpoint(tensorflow_checkpoint: Path, imported: Import, shared: Path):
    theirs = load_file(shared / "reference" / "lffn_s_x4.authors.safetensors")
    for path in (tensorflow_checkpoint, Path(f"{tensorflow_checkpoint}.index")):
        found = read(path)
        assert found.keys() == theirs.keys()
        assert all(torch.equal(found[name], theirs[name]) for name in theirs)
    ours = imported(tensorflow_checkpoint, "lffn-s")
    assert ours.origin["imported"]["file"] == "model.ckpt-9.index"


def test_a_cut_tensorflow_checkpoint(tensorflow_checkpoint: Path):
    folder = tensorflow_checkpoint.parent
    data = next(folder.glob("model.ckpt-9.data*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a whole TensorFlow checkpoint"):
        read(tensorflow_checkpoint)
    data.unlink()
    with pytest.raises(UserError, match="not a whole TensorFlow checkpoint"):
        read(tensorflow_checkpoint)
    index = Path(f"{tensorflow_checkpoint}.index")
    index.write_bytes(index.read_bytes()[:100])
    with pytest.raises(UserError, match="not a whole TensorFlow checkpoint"):
        read(tensorflow_checkpoint)
