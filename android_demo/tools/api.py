"""Android's API, since which version each part of it exists, and whether class files keep to it.

The database is the type declarations that NativeScript generates from Android's own android.jar files
(npm, Apache-2.0): every public class and member of API 21 to 37 with the version that brought it. Its
weak point: it says `number` for every kind of number.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from android_demo.tools.classfile import (
    NULLABLE,
    PROTECTED,
    PUBLIC,
    STATIC,
    SYNTHETIC,
    ClassFile,
    Member,
    types_of,
)
from android_demo.tools.toolchain import ANDROID_TYPES, CACHE, keep
from edgesr.files import locked

COVERED = ("android.", "java.", "javax.", "org.json.")
DESUGARED = ("java.lang.invoke.",)
"""What the compiler of Android (D8) rewrites, so that no phone needs it."""
GAPS = {("android.net.Uri", "android.os.Parcelable")}
"""Parents that the database forgot (Android's reference has them)."""
_PRIMITIVES = {"Z": "boolean", "V": "void", "C": "string"} | dict.fromkeys("BSIJFD", "number")
_TEXT = ("java.lang.String", "java.lang.CharSequence", "java.lang.Character")
_VARIABLES = frozenset("TEKVRU")
_CLASS = re.compile(
    r"export (?:abstract )?(?:class|interface) (\w+)(?:<.*?>)?\s*"
    r"(?: extends (.*?))?(?: implements (.*?))?\s*\{$"
)
_MODULE = re.compile(
    r"(?:declare module|export module|declare namespace|export namespace|module) ([\w.]+) \{$"
)
_METHOD = re.compile(r"(?:public|protected) (static )?(\w+)(?:<.*?>)?\((.*)\)(?:: (.*))?;$")
_FIELD = re.compile(r"(?:public|protected) (static )?(\w+): (.*);$")
_SINCE = re.compile(r"@since (\d+)")


@dataclass(frozen=True)
class Entry:
    """One overload of a method, or a field (`types` is then its own type)."""

    static: bool
    field: bool
    types: tuple[str, ...]
    """Parameters', then the result's. A constructor's result is void."""
    nullable: bool
    since: int


@dataclass
class ApiClass:
    """One class or interface. `since` is 1 for what is older than the database."""

    parents: list[str]
    since: int
    members: dict[str, list[Entry]] = field(default_factory=dict)


class Api:
    """The database."""

    def __init__(self, classes: dict[str, ApiClass]) -> None:
        self.classes = classes

    def ancestry(self, name: str) -> Iterator[str]:
        """A class of the database and everything that it extends and implements."""
        todo, seen = [name, "java.lang.Object"], set()
        while todo:
            one = todo.pop(0)
            if one in self.classes and one not in seen:
                seen.add(one)
                yield one
                todo += self.classes[one].parents

    def since(self, member: Member) -> int | None:
        """The version that brought what `member` refers to, inherited or not; None: there is none."""
        owner = source_name(member.owner)
        if owner not in self.classes:
            return None
        found = [
            max(entry.since, self.classes[one].since)
            for one in self.ancestry(owner)
            for entry in self.classes[one].members.get(_name(member), [])
            if _fits(entry, member)
        ]
        return max(min(found), self.classes[owner].since) if found else None

    def own(self, member: Member) -> list[Entry]:
        """What the class itself declares under this name and descriptor."""
        known = self.classes.get(source_name(member.owner))
        return (
            [entry for entry in known.members.get(_name(member), []) if _fits(entry, member)]
            if known
            else []
        )


@cache
def load() -> Api:
    """The database, parsed once and kept."""
    kept = CACHE / f"api-{ANDROID_TYPES.sha256[:16]}.json"
    with locked(kept):
        if not kept.exists():
            parsed = parse(
                (ANDROID_TYPES.folder() / ANDROID_TYPES.part).read_text(encoding="utf-8").splitlines()
            )
            keep(kept, json.dumps(_to_json(parsed)))
        return Api(_from_json(json.loads(kept.read_text(encoding="utf-8"))))


def parse(lines: Iterable[str]) -> dict[str, ApiClass]:
    """Declarations → classes by their dotted name."""
    classes: dict[str, ApiClass] = {}
    nest: list[tuple[str, ApiClass | None]] = []
    since = 1
    for line in map(str.strip, lines):
        if line.startswith("/**"):
            version = _SINCE.search(line)
            since = int(version[1]) if version else since
            continue
        if line.endswith("{"):
            module, declared = _MODULE.match(line), _CLASS.match(line)
            name = module[1] if module else declared[1] if declared else ""
            opened = ApiClass(_parents(declared[2], declared[3]), since) if declared else None
            nest.append((name, opened))
            if opened is not None:
                classes[".".join(part for part, _ in nest)] = opened
        elif line.startswith("}"):
            nest.pop()
        elif nest and nest[-1][1] is not None:
            _add(nest[-1][1], line, since)
        since = 1
    return classes


def unknown_references(classes: Iterable[ClassFile], api: Api, min_sdk: int) -> list[str]:
    """Every use of Android or Java that a phone of `min_sdk` does not have, in words.

    A class named Api<N>, or inside one, may use what API N brought; who calls it is not checked here.
    """
    faults = []
    for one in classes:
        guard = re.search(r"\.Api(\d+)(?:\$|$)", one.name)
        allowed = max(min_sdk, int(guard[1])) if guard else min_sdk
        for name in sorted(one.classes):
            if _covered(name):
                known = api.classes.get(source_name(name))
                faults += _fault(one.name, source_name(name), known.since if known else None, allowed)
        for member in one.references:
            if _covered(member.owner):
                faults += _fault(one.name, str(member), api.since(member), allowed)
    return faults


def wrong_stubs(stubs: Iterable[ClassFile], api: Api) -> list[str]:
    """Every class, parent, member or nullable result of a stub that Android's differs from, in words."""
    faults = []
    for stub in stubs:
        name = source_name(stub.name)
        if name.startswith("android.annotation."):
            continue
        if name not in api.classes:
            faults.append(f"there is no {name}")
            continue
        ancestry = {*api.ancestry(name), "java.lang.Enum"}
        parents = set(map(source_name, stub.parents)) - ancestry
        faults += [f"{name} is no {parent}" for parent in sorted(parents) if (name, parent) not in GAPS]
        for member in stub.declared:
            faults += _wrong_member(member, api)
    return faults


def source_name(name: str) -> str:
    """android.view.View$OnClickListener as sources write it."""
    return name.replace("$", ".")


def _wrong_member(member: Member, api: Api) -> list[str]:
    hidden = not member.flags & (PUBLIC | PROTECTED) or member.flags & SYNTHETIC
    if (
        hidden
        or (member.name, member.descriptor) == ("<init>", "()V")
        or member.name in ("values", "valueOf")
    ):
        return []
    entries = api.own(member)
    if not entries:
        return [f"there is no {member}"]
    faults = []
    static = bool(member.flags & STATIC)
    if all(entry.static != static for entry in entries):
        faults.append(f"{member} is {'not ' if static else ''}static")
    if (
        all(entry.nullable for entry in entries)
        and member.is_method
        and NULLABLE not in member.annotations
    ):
        faults.append(f"{member} may return null")
    return faults


def _fault(user: str, used: str, since: int | None, allowed: int) -> list[str]:
    if since is None:
        return [f"{user}: there is no {used}"]
    return [f"{user}: {used} came with API {since}, {allowed} is allowed"] if since > allowed else []


def _covered(name: str) -> bool:
    return name.startswith(COVERED) and not name.startswith(DESUGARED)


def _name(member: Member) -> str:
    return "constructor" if member.name == "<init>" else member.name


def _fits(entry: Entry, member: Member) -> bool:
    types = types_of(member.descriptor)
    if entry.field == member.is_method or len(types) != len(entry.types):
        return False
    return all(_same(written, declared) for written, declared in zip(types, entry.types, strict=True))


def _same(descriptor: str, declared: str) -> bool:
    """Whether a JVM type can be what the database calls `declared`."""
    if declared == "any" or declared in _VARIABLES:
        return descriptor[0] in "[L"
    if descriptor[0] == "[":
        inner = re.fullmatch(r"androidNative\.Array<(.*)>", declared)
        return inner is not None and _same(descriptor[1:], inner[1])
    if descriptor[0] != "L":
        return _PRIMITIVES[descriptor] == declared
    name = source_name(descriptor[1:-1].replace("/", "."))
    if name == "java.lang.Object" and "." in declared:
        return True  # erased generics
    return declared == name or (declared == "string" and name in _TEXT)


def _add(api_class: ApiClass, line: str, since: int) -> None:
    if method := _METHOD.match(line):
        parameters = [_plain(part.split(":", 1)[1]) for part in _split(method[3]) if ":" in part]
        result = method[4] or "void"
        nullable = result.endswith("| null")
        entry = Entry(bool(method[1]), False, (*parameters, _plain(result)), nullable, since)
        api_class.members.setdefault(method[2], []).append(entry)
    elif found := _FIELD.match(line):
        entry = Entry(bool(found[1]), True, (_plain(found[3]),), False, since)
        api_class.members.setdefault(found[2], []).append(entry)


def _plain(declared: str) -> str:
    """A type without generics (but an array's), null, or the value of a constant."""
    text = declared.strip().removesuffix("| null").strip()
    if re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?|NaN|-?Infinity", text):
        return "number"
    if text[:1] in "\"'":
        return "string"
    if text in ("true", "false"):
        return "boolean"
    if array := re.fullmatch(r"androidNative\.Array<(.*)>", text):
        return f"androidNative.Array<{_plain(array[1])}>"
    return re.sub(r"<.*>", "", text)


def _parents(extends: str | None, implements: str | None) -> list[str]:
    return [_plain(part) for text in (extends, implements) if text for part in _split(text)]


def _split(text: str) -> list[str]:
    """At commas outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<([{") - (letter in ">)]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _to_json(classes: dict[str, ApiClass]) -> dict[str, list]:
    return {
        name: [
            one.parents,
            one.since,
            {
                key: [[e.static, e.field, e.types, e.nullable, e.since] for e in entries]
                for key, entries in one.members.items()
            },
        ]
        for name, one in classes.items()
        if name.startswith(COVERED)
    }


def _from_json(content: dict[str, list]) -> dict[str, ApiClass]:
    return {
        name: ApiClass(
            parents,
            since,
            {
                key: [Entry(e[0], e[1], tuple(e[2]), e[3], e[4]) for e in entries]
                for key, entries in members.items()
            },
        )
        for name, (parents, since, members) in content.items()
    }
