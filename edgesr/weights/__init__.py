"""Our own trained checkpoints, each with its card (the JSON beside the tensors)."""

from pathlib import Path

from edgesr.checkpoint import paths

FOLDER = Path(__file__).parent


def path(model: str, scale: int, scheme: str | None) -> Path:
    """Where the bundled checkpoint of a network stands, or would stand."""
    return FOLDER / (f"{model}_x{scale}" + (f"_{scheme}" if scheme else "") + ".safetensors")


def find(model: str, scale: int, scheme: str | None) -> Path | None:
    """The bundled checkpoint of a network (scheme None: float), or None."""
    candidate = path(model, scale, scheme)
    return candidate if all(file.is_file() for file in paths(candidate)) else None


def bundled(model: str, scale: int) -> list[Path]:
    """All bundled checkpoints of a network at a scale, of whatever scheme."""
    plain = path(model, scale, None)
    found = [plain, *sorted(FOLDER.glob(f"{plain.stem}_*.safetensors"))]
    return [file for file in found if all(part.is_file() for part in paths(file))]
