"""Which checkpoint to export: the one named, the newest run's, or the bundled one."""

from pathlib import Path

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import chosen_scale, find_trainable
from edgesr.quantization import DEFAULT_SCHEME

RUNS = Path("runs")
BUNDLED = ("msfin-s", 4)
FP32 = "fp32"
"""The scheme of a file that is not quantized."""


def choose_checkpoint(
    path: Path | None, model: str | None, scale: int | None, scheme: str | None
) -> Checkpoint:
    """The checkpoint that the options name. UserError if they contradict it or nothing is found."""
    if path is not None:
        return _agreeing(checkpoints.load(path), model, scale, scheme)
    if model is not None:
        find_trainable(model)
        scale = chosen_scale(scale)
    elif scale is not None or scheme is not None:
        raise UserError("--scale and --scheme choose among a network's checkpoints: give --model too.")
    quantized = scheme != FP32
    runs = _newest_run(model, scale) if quantized else None
    wanted = (model or BUNDLED[0], scale or BUNDLED[1], scheme or DEFAULT_SCHEME)
    found = runs or weights.find(wanted[0], wanted[1], wanted[2] if quantized else None)
    if found is None:
        verb = "qat" if quantized else "train"
        raise UserError(
            f"There is no {wanted[2]} checkpoint of {wanted[0]} x{wanted[1]}: none is bundled and no "
            f"run under ./{RUNS} has one. Make one: python -m recipes.{verb} --model {wanted[0]} "
            f"--scale {wanted[1]}, or name one with --checkpoint."
        )
    return checkpoints.load(found)


def _newest_run(model: str | None, scale: int | None) -> Path | None:
    """The newest finished QAT checkpoint under ./runs, of this network if one is named."""
    for path in sorted(RUNS.rglob("checkpoint.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        facts = checkpoints.read_facts(path)
        if facts["scheme"] and model in (None, facts["model"]) and scale in (None, facts["scale"]):
            return path
    return None


def find_by_sha256(digest: str | None) -> Path | None:
    """The checkpoint under ./runs or among the bundled ones whose tensors have this SHA-256."""
    known = [*RUNS.rglob("checkpoint.json"), *weights.FOLDER.glob("*.json")]
    return next((p for p in known if checkpoints.read_facts(p)["sha256"] == digest), None)


def _agreeing(
    checkpoint: Checkpoint, model: str | None, scale: int | None, scheme: str | None
) -> Checkpoint:
    actual = (checkpoint.model, checkpoint.scale, checkpoint.scheme or FP32)
    for option, wanted, is_ in zip(
        ("model", "scale", "scheme"), (model, scale, scheme), actual, strict=True
    ):
        if wanted is not None and wanted != is_:
            raise UserError(
                f"The checkpoint's {option} is {is_}, not {wanted}. Leave --{option} away, "
                "or name another checkpoint."
            )
    return checkpoint
