"""Count parameters and multiply-adds: python -m recipes.complexity --model lffn-s --scale 4"""

import argparse
import json
from pathlib import Path
from typing import Any

from edgesr import cli
from edgesr.files import write_text
from edgesr.models import MODELS, SCALES
from edgesr.models.complexity import Complexity, complexity


def main() -> None:
    """Count, print a table, write JSON if asked."""
    args = parse()
    names = [args.model] if args.model else list(MODELS)
    scales = [args.scale] if args.scale else SCALES
    counts = [complexity(name, scale) for name in names for scale in scales]
    print(
        f"{'model':12}{'scale':>6}{'parameters':>12}{'as printed':>12}{'':9}"
        f"{'G MACs':>9}{'as printed':>12}"
    )
    for count in counts:
        print(row(count))
    print(
        "\nFor a 1280x720 SR image. Beside the printed figure: the difference in the paper's counting."
    )
    if args.json:
        write_text(args.json, json.dumps([to_json(count) for count in counts], indent=2) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.complexity",
        description="Parameters and true multiply-adds of the networks, beside what their papers print.",
    )
    parser.add_argument("--model", help=f"one of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--scale", type=int, help="2, 3 or 4 (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there too")
    return parser.parse_args()


def row(count: Complexity) -> str:
    """One network at one scale."""
    printed_params = f"{count.paper_params // 1000}K" if count.paper_params else "-"
    difference = f"{count.params_paper_rule - count.paper_params:+}" if count.paper_params else ""
    printed_macs = f"{count.paper_macs / 1e9:.1f}" if count.paper_macs else "-"
    return (
        f"{count.model:12}{f'x{count.scale}':>6}{count.params:12,}{printed_params:>12}{difference:>9}"
        f"{count.macs / 1e9:9.3f}{printed_macs:>12}"
    )


def to_json(count: Complexity) -> dict[str, Any]:
    """The counts as whole numbers."""
    return {
        "model": count.model,
        "scale": count.scale,
        "params": count.params,
        "params_paper_rule": count.params_paper_rule,
        "macs": count.macs,
        "macs_paper_rule": count.macs_paper_rule,
        "paper": {"params": count.paper_params, "macs": count.paper_macs},
    }


if __name__ == "__main__":
    cli.run(main)
