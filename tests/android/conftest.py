"""What the tests of the app share: its parts, compiled once, and a skip where the tools are absent."""

import os
from pathlib import Path

import pytest

from android_demo.tools import api, app, kotlin, toolchain
from android_demo.tools.api import Api
from android_demo.tools.toolchain import DEMO
from edgesr.errors import UserError
from export.native import build
from export.native import toolchain as native

REQUIRED = "EDGESR_REQUIRE_ANDROID"


@pytest.fixture(scope="session")
def tools() -> None:
    """JDK, Kotlin, JUnit, aapt2, ktlint and the database of Android's API."""
    missing = toolchain.missing()
    if missing and REQUIRED in os.environ:
        pytest.fail(f"{REQUIRED} is set and tools are missing:\n" + "\n".join(missing))
    if missing:
        pytest.skip("needs tools that are missing: " + "; ".join(missing))


@pytest.fixture(scope="session")
def android(tools: None) -> Api:
    """The database of Android's API."""
    return api.load()


@pytest.fixture(scope="session")
def core(tools: None) -> Path:
    """Class files of core/."""
    return app.compile_core()


@pytest.fixture(scope="session")
def core_tests(core: Path) -> Path:
    """Class files of the tests of core/, which hold `UpscaleFile` and `ProcessEngine` too."""
    sources = sorted((DEMO / "core" / "src" / "test").rglob("*.kt"))
    return kotlin.compile_kotlin(sources, kotlin.junit(), [core])


@pytest.fixture(scope="session")
def linked(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of R.java, made from the app's resources."""
    return app.link(DEMO / "app" / "src" / "main", tmp_path_factory.mktemp("linked"), app.sdk())


@pytest.fixture(scope="session")
def qemu() -> Path:
    """The emulator of ARM64, with the runner built for it; skipped as in tests/export."""
    try:
        build.arm64()
        return native.emulator()
    except UserError as error:
        if "EDGESR_REQUIRE_ARM64" in os.environ:
            raise
        pytest.skip(f"cannot build or run it here: {error}")
