"""Our own trained checkpoints, each with its card (the JSON beside the tensors)."""

from pathlib import Path

from edgesr.checkpoint import paths
from edgesr.files import read_json

FOLDER = Path(__file__).parent
MEASURED = FOLDER / "measured"
"""What the cards say of exported files, as JSON: `python -m export.model_card` writes it."""


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


def measured(model: str, scale: int) -> Path:
    """Where the figures of a network's card stand, or would stand."""
    return MEASURED / path(model, scale, None).with_suffix(".json").name


def scores(model: str, scale: int, sha256: str | None) -> dict[str, dict[str, float]]:
    """PSNR in dB on Y, as the card of bundled weights says: benchmark → form (float, pte …).

    Empty where the checkpoint of that SHA-256 is not the one that was measured.
    """
    file = measured(model, scale)
    forms = read_json(file)["forms"].values() if file.is_file() else []
    sets = next((form["sets"] for form in forms if form["checkpoint"]["sha256"] == sha256), {})
    return {name: {form: row["psnr"] for form, row in rows.items()} for name, rows in sets.items()}
