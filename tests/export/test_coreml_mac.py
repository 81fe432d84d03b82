"""Core ML itself against our interpreter, on a Mac: `make mac`.

Nobody of this project has run these tests: it had no Mac. They were written from coremltools'
documentation, and a Mac's first run of them may have to mend them. What they find is written to
artifacts/coreml_mac.json: the difference from the interpreter, time, and which device each operation
was placed on.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.data.drawn import drawn_images
from edgesr.data.images import to_tensor, to_uint8
from edgesr.engines import ARTIFACTS, open_artifact
from export import coreml
from export.pipeline import Request, build

pytestmark = [
    pytest.mark.mac,
    pytest.mark.skipif(sys.platform != "darwin", reason="Core ML runs on macOS only"),
]
UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")
RUNS = 20
RECORD = ARTIFACTS / "coreml_mac.json"
# Two right answers differ by rounding ties; wrong ones were seen at 29 dB and less (DECISIONS.md).
MIN_PSNR = 40.0
MAX_BIAS = 0.25
"""Levels of mean difference: 0.5 would say that levels are cut off where they should be rounded."""


@pytest.fixture(scope="module", params=["fp16", "w8a8"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled MSFIN-S x4 at the default tile."""
    scheme = None if request.param == "fp16" else request.param
    found = weights.find("msfin-s", 4, scheme)
    assert found is not None
    path = tmp_path_factory.mktemp("mac") / f"{request.param}.mlpackage"
    asked = Request(checkpoints.load(found), (64, 64), 8, path.parent, [], None, {"precision": "fp16"})
    _, program, _ = build(asked, coreml.FOLD_WEIGHTS)
    coreml.lower(program, asked.facts, path)
    return path


@pytest.mark.parametrize("units", UNITS)
def test_device_computes_what_the_interpreter_computes(package: Path, units: str) -> None:
    model = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit[units])
    lr = Image.fromarray(drawn_images(1, 64)[0])
    sr = predicted(model, lr)
    expected = to_uint8(open_artifact(package).upscale(to_tensor(np.asarray(lr))))
    error = sr.astype(np.float64) - expected
    psnr = float(10 * np.log10(255**2 / max((error**2).mean(), 1e-9)))
    record(
        f"{package.stem} {units}",
        {
            "psnr_db": psnr,
            "mean_levels": float(error.mean()),
            "max_levels": int(np.abs(error).max()),
            "median_ms": milliseconds(model, lr),
            "placement": placement(model, units),
        },
    )
    assert psnr >= MIN_PSNR
    assert abs(error.mean()) <= MAX_BIAS


def predicted(model: Any, lr: Image.Image) -> np.ndarray:
    """SR (H,W,3) in levels."""
    return np.asarray(model.predict({"image": lr})["sr"].convert("RGB"))


def milliseconds(model: Any, lr: Image.Image) -> float:
    """Per tile, the median; the conversion of images is in it."""
    times = []
    for _ in range(RUNS + 1):  # the first run warms up
        began = time.perf_counter()
        model.predict({"image": lr})
        times.append(1000 * (time.perf_counter() - began))
    return median(times[1:])


def placement(model: Any, units: str) -> dict[str, dict[str, float]]:
    """Device → how many operations it is given, and their share of the cost that Core ML expects."""
    plan: Any = ct.models.compute_plan.MLComputePlan.load_from_path(
        model.get_compiled_model_path(), compute_units=ct.ComputeUnit[units]
    )
    counts, costs = Counter[str](), Counter[str]()
    for operation in plan.model_structure.program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is None:  # a constant
            continue
        device = type(usage.preferred_compute_device).__name__.removesuffix("ComputeDevice")
        cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
        counts[device] += 1
        costs[device] += 0.0 if cost is None else cost.weight  # pyright: ignore[reportArgumentType]
    return {device: {"operations": counts[device], "cost": costs[device]} for device in counts}


def record(name: str, found: dict[str, Any]) -> None:
    """Add it to what other tests recorded."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    RECORD.write_text(json.dumps(known | {name: found}, indent=2) + "\n")
