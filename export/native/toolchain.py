"""What building and running for ARM64 takes: a cross compiler, an emulator, the runtimes' libraries.

Tools on the PATH are used if they will do. On Debian the others are fetched with apt from the mirror
that the machine uses anyway (signatures checked by apt) and unpacked in the cache: nothing is installed
and nobody has to be root. The runtimes are inside their wheels, which pip fetches as it is configured
to, held to the checksums below.
"""

import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesr.errors import UserError
from export.native import cache

LEAST_QEMU = 10
"""qemu 7.2 computes int8 wrongly on the CPU model `max`: up to 0.2 of full scale."""
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
PACKAGES = {COMPILER: "g++-aarch64-linux-gnu", EMULATOR: "qemu-user"}
BACKPORTED = {"bookworm": "bookworm-backports"}
"""Debian release whose own qemu is too old → the suite that has a newer one."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""Of every Debian; apt takes nothing from the mirror that it does not vouch for."""


@dataclass(frozen=True)
class Wheel:
    """A package of Python's that holds a runtime which C++ can use."""

    package: str
    checksums: dict[str, str]
    """Version → SHA-256 of its wheel for Linux on aarch64, CPython 3.11. What is not Python in it is the
    same for every Python."""
    platform: str
    """As that wheel's name says it."""
    megabytes: int
    lib: str
    """The folder of its shared libraries."""
    begin: str = "lib"
    """How the names of those begin that are wanted."""
    include: tuple[str, ...] = ()
    """Folders of headers."""


EXECUTORCH = Wheel(
    "executorch",
    {"1.5.1": "8ee02348a3ea80ddf770822911ebf78da616b73afce0fbaaa79f23311c88c66a"},
    "manylinux_2_28_aarch64",
    18,
    "executorch/lib",
    include=("executorch/include", "executorch/include/executorch/runtime/core/portable_type/c10"),
)
LITERT = Wheel(
    "ai-edge-litert",
    {"2.3.0": "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae"},
    "manylinux_2_27_aarch64",
    14,
    "ai_edge_litert",
    "libLiteRt.so",
)


@dataclass(frozen=True)
class Sdk:
    """What a runner is compiled and linked with."""

    lib: Path
    include: list[Path]


def arm64_sdk(wheel: Wheel) -> Sdk:
    """The installed version of a runtime for aarch64. UserError if it cannot be had."""
    release = installed(wheel)
    if release not in wheel.checksums:
        raise UserError(
            f"No checksum is known for the ARM64 wheel of {wheel.package} {release}, only for "
            f"{', '.join(wheel.checksums)}. Add it in export/native/toolchain.py."
        )
    name = f"{wheel.package}-{release}-aarch64-wheel"
    return _sdk(wheel, cache.kept(name, lambda folder: _fetch_wheel(wheel, release, folder)))


def host_sdk(wheel: Wheel) -> Sdk:
    """The same of what Python uses here. UserError if it has no libraries that C++ can use."""
    installed(wheel)
    package, *_ = wheel.lib.split("/")
    found = _sdk(wheel, Path(next(iter(import_module(package).__path__))).parent)
    if not list(found.lib.glob(f"{wheel.begin}*")):
        raise UserError(f"{found.lib} has no libraries for {platform.system()}: runners need Linux.")
    return found


def installed(wheel: Wheel) -> str:
    """The version that Python uses here. UserError if there is none."""
    try:
        return version(wheel.package)
    except PackageNotFoundError:
        raise UserError(
            f"{wheel.package} is not installed, so nothing says which version to run elsewhere: "
            f"pip install {wheel.package}"
        ) from None


def _sdk(wheel: Wheel, root: Path) -> Sdk:
    return Sdk(root / wheel.lib, [root / folder for folder in wheel.include])


def compiler() -> list[str]:
    """The command of a C++ compiler for aarch64 Linux. UserError says what is missing."""
    if found := shutil.which(COMPILER):
        return [found]
    root = _debian(COMPILER)
    libraries = root / "usr/lib" / f"{platform.machine()}-linux-gnu"  # binutils' own
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(root / "usr/bin" / COMPILER), f"--sysroot={root}"]


def emulator(named: Path | None = None) -> Path:
    """qemu-user for aarch64, 10 or newer: the one named, the one on the PATH, or one fetched here.

    UserError if the one named is older, or none can be had.
    """
    if named is not None:
        require_version(named)
        return named
    found = shutil.which(EMULATOR)
    if found and _major(Path(found)) >= LEAST_QEMU:
        return Path(found)
    fetched = _debian(EMULATOR) / "usr/bin" / EMULATOR
    require_version(fetched)
    return fetched


def require_version(qemu: Path) -> None:
    """UserError unless this is a qemu of a version that computes int8 rightly."""
    major = _major(qemu)
    if major < LEAST_QEMU:
        raise UserError(
            f"{qemu} is version {major} of qemu, or none at all; {LEAST_QEMU} or newer is needed: 7.2 "
            "computes int8 wrongly on the CPU model max."
        )


def _major(qemu: Path) -> int:
    """The version that a qemu reports, before its first point; 0 if it does not report one."""
    try:
        said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise UserError(f"{qemu} cannot be started: {error.strerror}.") from error
    found = re.match(r"qemu-aarch64 version (\d+)\.", said)
    return int(found[1]) if found else 0


def _fetch_wheel(wheel: Wheel, release: str, folder: Path) -> None:
    """Put a wheel's libraries and headers into `folder`, where they lie in the wheel."""
    say(f"fetching {wheel.package} {release} for ARM64 with pip ({wheel.megabytes} MB)")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--platform", wheel.platform]
    command += ["--python-version", "3.11", "--require-hashes"]
    with TemporaryDirectory() as temporary:
        wanted = Path(temporary, "requirements.txt")
        wanted.write_text(f"{wheel.package}=={release} --hash=sha256:{wheel.checksums[release]}\n")
        _run([*command, "--dest", temporary, "--requirement", str(wanted)], "pip could not fetch it")
        (file,) = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            parts = (f"{wheel.lib}/{wheel.begin}", *(f"{place}/" for place in wheel.include))
            for name in archive.namelist():
                if name.startswith(parts):
                    archive.extract(name, folder)


def _debian(tool: str) -> Path:
    """The root of a Debian package that holds `tool`, with what it needs, unpacked in the cache."""
    package = PACKAGES[tool]
    lacking = [name for name in ("apt-get", "dpkg-deb", "tar") if shutil.which(name) is None]
    facts = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if facts.get("ID") != "debian" or lacking:
        raise UserError(
            f"Checking on ARM64 needs {tool}"
            + (f" {LEAST_QEMU} or newer" if tool == EMULATOR else "")
            + f" on the PATH. It is in the package {package} of Debian and Ubuntu; only on Debian is it "
            "fetched without installing it."
        )
    release = facts["VERSION_CODENAME"]
    return cache.kept(
        f"{package}-{release}-{platform.machine()}", lambda folder: _unpack(package, release, folder)
    )


def _unpack(package: str, release: str, folder: Path) -> None:
    """Download a package and those it needs that are not installed, and unpack all into `folder`."""
    say(f"fetching Debian's {package} (about {63 if package == PACKAGES[EMULATOR] else 75} MB)")
    with TemporaryDirectory() as temporary:
        private, suites = Path(temporary), [release]
        if package == PACKAGES[EMULATOR] and release in BACKPORTED:
            suites.append(BACKPORTED[release])
        apt = _private_apt(private, release, suites)
        _run([*apt, "update"], "apt-get could not read the Debian mirror")
        wanted = f"{package}/{suites[-1]}"
        download = [*apt, "install", "--yes", "--download-only", "--no-install-recommends", wanted]
        _run(download, f"apt-get could not fetch {wanted}")
        for archive in sorted((private / "cache/archives").glob("*.deb")):
            _extract(archive, folder)


def _extract(archive: Path, folder: Path) -> None:
    """A package's files but those for other CPUs, link-time optimization and reading."""
    unpacking = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
    leave = ("./usr/share", "*/lto*", "*/lib*san.*")
    tar = ["tar", "--extract", "--directory", str(folder), *(f"--exclude={p}" for p in leave)]
    if archive.name.startswith(PACKAGES[EMULATOR]):
        tar.append(f"./usr/bin/{EMULATOR}")
    done = subprocess.run(tar, stdin=unpacking.stdout, capture_output=True, text=True, check=False)
    if done.returncode or unpacking.wait():
        raise UserError(f"{archive.name} could not be unpacked: {done.stderr.strip()}")


def _private_apt(folder: Path, release: str, suites: Sequence[str]) -> list[str]:
    """apt-get with lists and a cache of its own, which reads the machine's settings and changes none."""
    for needed in ("state/lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    sources, mirror = folder / "sources.list", _mirror(release)
    sources.write_text("".join(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in suites))
    options = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Debug::NoLocking": "true",  # its own folders: there is nobody to lock out
        "APT::Sandbox::User": "root",  # another could not write here
        "Acquire::Languages": "none",
    }
    return [
        "apt-get",
        "-qq",
        *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
    ]


def _mirror(release: str) -> str:
    """Where this machine's apt gets the Debian release from."""
    form = "$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)"
    said = _run(["apt-get", "indextargets", "--format", form], "apt-get could not tell its sources")
    rows = (line.split() for line in said.splitlines())
    found = next((row[3] for row in rows if row[:3] == ["Packages", "main", release]), None)
    if found is None:
        raise UserError(f"apt has no source for Debian {release} main. Add one, or install the tools.")
    return found


def _run(command: list[str], complaint: str) -> str:
    """Its output. UserError with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise UserError(f"{complaint}: " + " ".join(reason))
    return done.stdout


def say(text: str) -> None:
    """What takes a while, for who waits."""
    print(text, file=sys.stderr, flush=True)
