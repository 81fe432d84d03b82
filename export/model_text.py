"""The card of a set of weights as Markdown: every word of it from JSON files, tables and counts.

Nothing in it is typed for one network. What a checkpoint's JSON does not say is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgesr.catalogue import Entry
from edgesr.models.published import printed_score
from export.card import table
from export.matrix import FLOAT, REFERENCE

ACADEMIC = ("DIV2K", "Flickr2K")
"""Training images whose makers allow academic use."""


@dataclass(frozen=True)
class Weights:
    """One checkpoint of a set."""

    file: str
    bytes: int
    facts: dict[str, Any]
    """Its JSON."""

    @property
    def scheme(self) -> str:
        """Its quantization scheme, or float."""
        return self.facts["scheme"] or FLOAT


@dataclass(frozen=True)
class Facts:
    """All that the card of a set of weights is made of."""

    entry: Entry
    weights: list[Weights]
    """Float first."""
    measured: Mapping[str, dict[str, Any]]
    """Scheme → its parity matrix as JSON, with the `reports` of its files."""
    licence: str


def text(facts: Facts) -> str:
    """The card."""
    entry = facts.entry
    parts = [
        f"# {entry.model} x{entry.scale}",
        "<!-- Written by `python -m export.model_card`. Change what it is made of, not this file. -->",
        f"{entry.summary}. {entry.params:,} parameters, {entry.macs / 1e9:.3f} G multiply-adds for an "
        "SR image of 1280x720.",
        _section("Weights", _weights(facts)),
        _section("Scores", _scores(facts)),
        _section("Exported files", *_exported(facts)),
        _section("Training", *(part for weights in facts.weights for part in _training(weights))),
        _section("Use", _use(facts)),
        _section("Limits", "\n".join(f"- {limit}" for limit in _limits(facts))),
        _section("Licence", _licence(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts])


def _weights(facts: Facts) -> str:
    rows = [
        [f"`{one.file}`", one.scheme, f"{one.bytes / 1024:.0f}", f"`{one.facts['sha256']}`"]
        for one in facts.weights
    ]
    return table(["file", "computes in", "KiB", "SHA-256"], rows)


def _scores(facts: Facts) -> str:
    """Forms by sets; the paper's own figures below, where it prints any."""
    sets = list(dict.fromkeys(name for found in facts.measured.values() for name in found["sets"]))
    rows: dict[str, list[str]] = {}
    tiles = set()
    for scheme, found in facts.measured.items():
        tiles |= {"x".join(map(str, report["facts"]["tile"])) for report in found["reports"]}
        for form in next(iter(found["sets"].values())):
            cells = [_score(found["sets"].get(name, {}).get(form)) for name in sets]
            rows[_form(scheme, form)] = cells
    printed = [printed_score(facts.entry.model, facts.entry.scale, name) for name in sets]
    if any(printed):
        rows["its paper prints"] = [f"{p[0]:.2f} / {p[1]:.4f}" if p and p[1] else "" for p in printed]
    protocol = (
        f"PSNR in dB / SSIM on Y (BT.601, studio swing) of 8-bit SR, {facts.entry.scale} pixels shaved "
        f"off each border; `{FLOAT}` on whole images, everything else in LR tiles of "
        f"{', '.join(sorted(tiles))}."
    )
    return protocol + "\n\n" + table(["", *sets], [[name, *cells] for name, cells in rows.items()])


def _form(scheme: str, form: str) -> str:
    if form == FLOAT:
        return FLOAT
    as_trained = "as trained (fake-quantized graph)" if scheme != FLOAT else "the network in tiles"
    return f"{scheme}, {as_trained if form == REFERENCE else f'as the .{form} computes it'}"


def _score(scored: dict[str, Any] | None) -> str:
    return f"{scored['psnr']:.3f} / {scored['ssim']:.4f}" if scored else ""


def _exported(facts: Facts) -> Iterator[str]:
    """A row for each file, and its time with the device that took it."""
    reports = [report for found in facts.measured.values() for report in found["reports"]]
    rows, times = [], []
    for report in reports:
        census, parity, latency = report["census"], report["parity"], report["latency"]
        apart = "equal" if parity["psnr_db"] is None else f"{parity['psnr_db']:.2f} dB"
        rows.append(
            [
                f"`{report['artifact']['file']}`",
                f"{report['artifact']['bytes'] / 1024:.0f}",
                f"{census['int8_ops']} of {census['ops_delegated'] + census['ops_outside']}",
                f"{apart}, {parity['max_levels']} levels",
                "passed" if report["verdict"]["passed"] else "failed",
            ]
        )
        times.append(f"- `{report['artifact']['file']}`: {_time(latency)}")
    yield table(["file", "KiB", "operators in int8", "from the trained graph", "verdict"], rows)
    yield "Time of one tile:\n\n" + "\n".join(times)


def _time(latency: dict[str, Any]) -> str:
    if "absent" in latency:
        return str(latency["absent"])
    ratios = ", ".join(
        f"{ratio:.1f} times as fast as {name}" for name, ratio in latency["against"].items()
    )
    return (
        f"{latency['median_ms']:.0f} ms ({latency['device']}, {latency['threads']} thread(s), median of "
        f"{latency['runs']}); {ratios}, in turns"
    )


def _training(weights: Weights) -> Iterator[str]:
    origin = weights.facts["origin"]
    settings, init, seen = (origin.get(key) or {} for key in ("settings", "init", "validation"))
    took = origin.get("seconds")
    # a row whose facts the JSON does not have is left out
    rows = {
        "began with": init.get("file"),
        "data": ", ".join(_folders(weights)) or origin.get("data"),
        "images": origin.get("images"),
        "settings": ", ".join(f"{name} {value}" for name, value in settings.items()),
        "hardware": _hardware(origin),
        "time": f"{took:.0f} s ({_duration(took)})" if took else None,
        "began": origin.get("began"),
        "held-out images": f"{seen['psnr']:.3f} dB on {seen['images']}" if seen else None,
        "commit": origin.get("commit"),
        "versions": ", ".join(f"{name} {v}" for name, v in (origin.get("versions") or {}).items()),
    }
    yield f"### {weights.file}"
    yield table(["", ""], [[name, _cell(value)] for name, value in rows.items() if value])
    if command := origin.get("command"):
        yield "    " + " ".join(str(command).split())


def _folders(weights: Weights) -> list[str]:
    """Of images that it was trained on; none where the project drew them."""
    data = weights.facts["origin"].get("data")
    return data if isinstance(data, list) else []


def _hardware(origin: dict[str, Any]) -> str:
    threads = f"{origin['threads']} thread(s)" if origin.get("threads") else None
    parts = [origin.get("host"), origin.get("gpu"), origin.get("device"), threads]
    return ", ".join(str(part) for part in parts if part)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _use(facts: Facts) -> str:
    name, scale = facts.entry.model, facts.entry.scale
    commands = [
        f"edgesr upscale photo.jpg --model {name} --scale {scale} --out large.png",
        *(
            f"python -m export.{target} --model {name} --scale {scale}"
            for target in ("executorch", "tflite", "coreml")
        ),
    ]
    return "\n".join(f"    {command}" for command in commands)


def _limits(facts: Facts) -> Iterator[str]:
    model, scale = facts.entry.model, facts.entry.scale
    trained = {name for one in facts.weights for name in _folders(one)}
    sets = {name: forms for found in facts.measured.values() for name, forms in found["sets"].items()}
    for name, forms in sets.items():
        printed = printed_score(model, scale, name)
        if printed and FLOAT in forms:
            less = printed[0] - forms[FLOAT]["psnr"]
            side = "below" if less > 0 else "above"
            yield f"{name}: {abs(less):.2f} dB {side} what its paper prints, in float."
    shared = sorted(trained & set(sets))
    yield (
        f"Trained on {', '.join(shared)}, so its scores there say nothing."
        if shared
        else "None of these benchmarks is among the folders that it was trained on."
    )
    yield "LR was made by MATLAB's bicubic. Noise, blur and the traces of JPEG are enlarged as they are."
    yield f"For scale {scale} alone."
    devices = {
        report["latency"].get("device", "")
        for found in facts.measured.values()
        for report in found["reports"]
    }
    if all(device.startswith("host") or not device for device in devices):
        yield "Not timed on a phone: host times compare forms with one another and no more."


def _licence(facts: Facts) -> str:
    data = sorted({name for one in facts.weights for name in _folders(one)})
    if not data:
        return f"The weights are a part of edgesr: {facts.licence}."
    academic = [name for name in data if name.startswith(ACADEMIC)]
    said = f" That of {', '.join(academic)} is for academic use, its makers say." if academic else ""
    return (
        f"The weights are a part of edgesr: {facts.licence}. The images that they were trained on "
        f"({', '.join(data)}) are not, and have terms of their own.{said}"
    )
