"""Figures worked out by hand."""

from math import inf, log10

import numpy as np
import pytest

from export.report import BUDGETS, Census, Parity, Quality, Report


def image(*levels: int) -> np.ndarray:
    return np.array(levels, np.uint8).reshape(1, -1, 1)


def sound() -> Report:
    census = Census(40, 0, 1, [], 36, ["PReLU"], 6144, 1000)
    parity = Parity("fake-quant graph")
    parity.add(image(7, 250), image(7, 250))
    return Report({"file": "a.pte", "bytes": 2048}, {}, census, parity, BUDGETS["w8a8"], 0.0)


def test_parity() -> None:
    parity = Parity("it")
    parity.add(image(0, 10, 255), image(3, 10, 255))
    parity.add(image(4), image(255))
    assert parity.psnr_db == pytest.approx(10 * log10(255**2 * 4 / (9 + 251**2)))
    assert parity.to_json() == {
        "against": "it",
        "images": 2,
        "psnr_db": parity.psnr_db,
        "max_levels": 251,
        "differing_fraction": 0.5,
    }


def test_equal_images() -> None:
    report = sound()
    assert report.parity.psnr_db == inf
    assert report.parity.to_json()["psnr_db"] is None
    assert report.failures == []
    assert report.to_json()["verdict"]["passed"] is True


def test_quality_and_its_budget() -> None:
    report = sound()
    quality = Quality(float_db=32.0, fake_quant_db=31.9, artifact_db=31.84)
    assert quality.to_json()["drop_db"] == pytest.approx(0.16)
    assert Quality(None, 31.9, 31.9).to_json()["drop_db"] is None
    report.quality = {"Set5": quality, "Set14": Quality(None, 28.0, 28.02)}
    assert len(report.failures) == 1
    assert report.failures[0].startswith("Set5: the artifact is 0.060 dB from its reference graph")
    report.quality = {"Set5": Quality(32.0, 31.8, 31.86)}
    assert len(report.failures) == 1, "a gain is as suspicious as a loss"


def test_a_conversion_that_is_not_exact() -> None:
    report = sound()
    report.converted_difference = 1e-7
    assert report.failures == ["fake-quant and converted graph differ by 1e-07"]


def test_what_a_card_says_is_not_taken_for_measured() -> None:
    report = sound()
    assert "shipped" not in report.to_json()
    report.shipped = {"Set5": {"float": 31.0, "pte": 30.95}}
    assert report.to_json()["shipped"] == report.shipped
    assert report.to_json()["quality"] == {}
    assert "Set5, dB as the card of these weights says: float 31.000, pte 30.950" in report.summary()


def test_what_was_not_run_has_not_passed() -> None:
    report = sound()
    assert report.to_json()["verdict"]["passed"] is True
    report.not_run, report.parity = "no such processor here", Parity("fake-quant graph")
    assert report.failures == []
    verdict = report.to_json()["verdict"]
    assert (verdict["passed"], verdict["not_run"]) == (False, "no such processor here")
    said = report.summary()
    assert said.startswith("lowered, not run: no such processor here\n")
    assert "against" not in said
    assert "passed" not in said
