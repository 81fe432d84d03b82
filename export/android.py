"""Put verified .pte files into the Android app: `python -m export.android --artifact FILE.pte`."""

import argparse
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from edgesr import cli
from edgesr.errors import UserError
from edgesr.files import read_json, replacing, sha256, write_text

DEMO = Path(__file__).resolve().parents[1] / "android_demo"
ASSETS = Path("app", "src", "main", "assets", "models")
CATALOG = Path("gradle", "libs.versions.toml")


def main() -> None:
    """Check every file that is named, then copy all of them. UserError for the first that is refused."""
    args = _parser().parse_args()
    runtime = runtime_version(args.demo)
    cards = {artifact: card(artifact, runtime) for artifact in args.artifact}
    for artifact, text in cards.items():
        installed = install(artifact, text, args.demo / ASSETS)
        print(f"{installed}: {installed.stat().st_size / 1024:.0f} KiB, for ExecuTorch {runtime}")


def install(artifact: Path, text: str, assets: Path) -> Path:
    """Copy an artifact and its card to the app's assets, the card last: the app goes by cards."""
    target = assets / artifact.name
    with replacing(target) as temporary:
        shutil.copyfile(artifact, temporary)
    write_text(target.with_suffix(".properties"), text)
    return target


def card(artifact: Path, runtime: str) -> str:
    """What the app has to know of an artifact, as a Java properties file, all from its report.

    UserError for what is no .pte, and where the report is missing, failed, is of another file, or names
    an ExecuTorch newer than `runtime`, the app's.
    """
    if artifact.suffix != ".pte":
        raise UserError(f"{artifact} is no .pte: the app runs what python -m export.executorch made.")
    if not artifact.is_file():
        raise UserError(f"{artifact} does not exist. Make one: python -m export.executorch")
    report = _report(artifact)
    try:
        facts, digest = report["facts"], report["artifact"]["sha256"]
        passed, failures = report["verdict"]["passed"], map(str, report["verdict"]["failures"])
        exporter = str(facts["versions"]["executorch"])
        height, width = facts["tile"]
        lines = {
            "file": artifact.name,
            "sha256": digest,
            **{name: facts[name] for name in ("model", "scale", "scheme")},
            "tile_height": height,
            "tile_width": width,
            **{name: facts[name] for name in ("overlap", "multiple")},
            "executorch": exporter,
            "checkpoint_sha256": facts["checkpoint_sha256"],
            "commit": facts["commit"],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The report of {artifact} lacks {error}. Export it anew.") from error
    for name, value in lines.items():
        if name != "file" and not re.fullmatch(
            r"[\w.+-]+", str(value)
        ):  # a line break would begin another property
            raise UserError(f"The report of {artifact} has {name} {value!r:.60}. Export it anew.")
    if passed is not True:
        raise UserError(f"{artifact} did not pass its verification: {'; '.join(failures)}")
    if sha256(artifact) != digest:
        raise UserError(
            f"{artifact} is not the file that its report is of: its SHA-256 differs. Export it anew."
        )
    if _release(exporter) > _release(runtime):
        raise UserError(
            f"{artifact} was exported by ExecuTorch {exporter} and the app has {runtime}, which need "
            f"not read it. Raise executorch in {CATALOG}, or export with {runtime}."
        )
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def runtime_version(demo: Path) -> str:
    """The version of the app's ExecuTorch library. UserError where there is no app."""
    catalog = demo / CATALOG
    if not catalog.is_file():
        raise UserError(f"{demo} is no copy of android_demo: it has no {CATALOG}.")
    return tomllib.loads(catalog.read_text(encoding="utf-8"))["versions"]["executorch"]


def _report(artifact: Path) -> dict[str, Any]:
    path = artifact.with_name(f"{artifact.name}.report.json")
    if not path.is_file():
        raise UserError(
            f"{artifact} has no report ({path.name} beside it): only verified files go into the app."
        )
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is no report. Export the file anew.")
    return content


def _release(version: str) -> tuple[int, ...]:
    """1.5.1a0+cpu as (1, 5, 1)."""
    found = re.match(r"\d{1,9}(?:\.\d{1,9})*", version)
    if found is None:
        raise UserError(f"{version!r} is no version of ExecuTorch.")
    return tuple(map(int, found[0].split(".")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.android",
        description="Copy verified .pte files into the Android app, each with a card that says what it "
        "is. A file is refused if its report is missing, failed or is of another file, or if it was "
        "exported by a newer ExecuTorch than the app's. What the app holds under other names stays.",
    )
    add = parser.add_argument
    add("--artifact", type=Path, nargs="+", required=True, metavar="FILE", help="from export.executorch")
    add("--demo", type=Path, default=DEMO, help="the app's project (default: this checkout's)")
    return parser


if __name__ == "__main__":
    cli.run(main)
