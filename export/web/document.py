"""A report, a matrix and what of the images is shown → one HTML file that asks for nothing else."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from edgesr.sheet import difference, gain_of
from export.census import Operator
from export.web import drawing, figures
from export.web.flow import flow
from export.web.gallery import Exhibit

FOLDER = Path(__file__).parent
TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
MATRIX, SENSITIVITY = "export.verify ARTIFACT … --json FILE", "recipes.sensitivity --json FILE"


def render(context: dict[str, Any], *, sensitivity: dict[str, Any] | None, made_by: str) -> str:
    """The page: what `of_report`, `of_matrix`, `of_images` and `of_sensitivity` made, put together."""
    css, script = (_read(name) for name in ("page.css", "page.js"))
    return TEMPLATES.get_template("page.html").render(
        context,
        policy=_policy(css, script),
        css=css,
        script=script,
        sensitivity=sensitivity,
        made_by=made_by,
    )


def png(image: NDArray[np.uint8]) -> str:
    """8-bit pixels (H,W) or (H,W,3) as a data: URL."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _read(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # our own file


def _policy(css: str, script: str) -> str:
    """Nothing but our style, our script and images that are in the page; not by any network."""

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(css)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def of_report(file: Path, report: dict[str, Any], operators: list[Operator]) -> dict[str, Any]:
    """Verdict, census, latency and origin. UserError for a report that is none of ours."""
    path = file.with_name(f"{file.name}.report.json")
    with figures.understood(path, "report", "python -m export.<target>"):
        facts, artifact = report["facts"], report["artifact"]
        high, wide = facts["tile"]
        scale = int(facts["scale"])
        ends = f"LR 1×3×{high:d}×{wide:d}", f"SR 1×3×{scale * high:d}×{scale * wide:d}"
        computed = ["outside" if o.partition is None else o.computes for o in operators]
        return {
            "title": f"{facts['model']} x{scale}, {facts['scheme']}",
            "file": artifact["file"],
            "passed": report["verdict"]["passed"] is True,
            "failures": [str(failure) for failure in report["verdict"]["failures"]],
            "verdict": figures.verdict(report),
            "proven": "proof" in report and report["verdict"]["passed"] is True,
            "identity": {
                "File": f"{artifact['file']}, {artifact['bytes'] / 1024:,.0f} KiB",
                "SHA-256": artifact["sha256"],
                "LR tile": f"{high} × {wide}, {facts['overlap']} shared with a neighbour",
                "Checkpoint": facts["checkpoint_sha256"],
                "Commit": facts["commit"],
                "Versions": ", ".join(f"{name} {v}" for name, v in facts["versions"].items()),
            },
            "graph": drawing.graph(operators, ends),
            "flow": flow(operators, ends),
            "kinds": figures.kinds(operators),
            "legend": [kind for kind in ("int8", "float", "other", "outside") if kind in computed],
            "int8": computed.count("int8"),
            "operators": len(operators),
            "census": {key: int(report["census"][key]) for key in ("partitions", "ops_outside")},
            "latency": figures.latency(report),
            "quantized": facts["scheme"] != "fp32",
        }


def of_matrix(found: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """Scores and pairs; `path` is where they were read, None if they were measured for this page."""
    with figures.understood(path or Path("what was measured"), "parity matrix", f"python -m {MATRIX}"):
        (score_head, scores), (image_head, rows) = figures.scores(found), figures.images(found)
        return {
            "matrix_from": path.name if path else None,
            "matrix_failures": [str(failure) for failure in found["verdict"]["failures"]],
            "shave": found["checkpoint"]["scale"],
            "score_head": score_head,
            "scores": scores,
            "pairs": figures.pairs(found),
            "files": figures.files(found),
            "image_head": image_head,
            "image_rows": rows,
        }


def of_images(exhibit: Exhibit) -> dict[str, Any]:
    """Before and after, the histogram, the worst image."""
    shown, worst = exhibit.median, exhibit.worst
    total = sum(exhibit.levels.values())
    content: dict[str, Any] = {
        "shown": shown,
        "before": _picture(shown.before),
        "after": _picture(shown.after),
        "images": len(exhibit.images),
        "histogram": drawing.histogram(exhibit.levels),
        "values": f"{total:,}",
        "differing": f"{100 * (1 - exhibit.levels[0] / total):.3g}",
        "worst": worst,
    }
    if worst is not None:
        off = difference(worst.file, worst.graph)
        gain = gain_of([off])
        content["panels"] = {
            "The file's SR": _picture(worst.file),
            "The graph's SR": _picture(worst.graph),
            f"Their difference, {gain} times as bright": _picture(
                np.minimum(off.astype(np.int32) * gain, 255).astype(np.uint8)
            ),
        }
    return content


def _picture(image: NDArray[np.uint8]) -> dict[str, Any]:
    return {"url": png(image), "width": image.shape[1], "height": image.shape[0]}


def of_sensitivity(found: dict[str, Any], path: Path) -> dict[str, Any]:
    """Bars and a table. UserError for a file that is no sensitivity."""
    with figures.understood(path, "sensitivity", f"python -m {SENSITIVITY}"):
        rows, origin = found["quantizers"], found["origin"]
        data = origin["data"]
        return {
            "bars": drawing.bars(
                [float(row["noise"]) for row in rows], [row["part"] == "weight" for row in rows]
            ),
            "rows": figures.noisiest(found),
            "count": len(rows),
            "patches": f"{origin['images']:d} × {origin['patch']:d} × {origin['patch']:d}",
            "data": data if isinstance(data, str) else ", ".join(map(str, data)),
            "psnr": f"{found['psnr_all_off']:.3f}",
            "all": f"{round(found['groups'][0]['lost'], 3) + 0.0:.3f}",  # no -0.000
        }
