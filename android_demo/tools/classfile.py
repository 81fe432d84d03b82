"""What a class file says (JVM specification, chapter 4): what it declares and what it refers to."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

STATIC, PUBLIC, PROTECTED, SYNTHETIC = 0x0008, 0x0001, 0x0004, 0x1000
NULLABLE = "Landroid/annotation/Nullable;"
_WIDTHS = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}
_TEXT, _CLASS, _FIELD, _METHOD, _INTERFACE_METHOD, _NAME_AND_TYPE = 1, 7, 9, 10, 11, 12
_TWICE = (5, 6)  # long and double take two places of the pool


@dataclass(frozen=True)
class Member:
    """A field or method, declared or referred to. Names are dotted, `descriptor` is the JVM's."""

    owner: str
    name: str
    descriptor: str
    flags: int = 0
    annotations: frozenset[str] = frozenset()

    @property
    def is_method(self) -> bool:
        """Whether it is called, and not read."""
        return self.descriptor.startswith("(")

    def __str__(self) -> str:
        """As in a message."""
        return f"{self.owner}.{self.name}{self.descriptor if self.is_method else ''}"


@dataclass
class ClassFile:
    """One class: its own members, and everything that its code names."""

    name: str
    parents: list[str]
    declared: list[Member] = field(default_factory=list)
    references: list[Member] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)


def read_classes(folder: Path) -> dict[str, ClassFile]:
    """All classes of a folder, by name."""
    found = (read_class(path) for path in sorted(folder.rglob("*.class")))
    return {one.name: one for one in found}


def read_class(path: Path) -> ClassFile:
    """One class file."""
    with path.open("rb") as file:
        if _number(file, 4) != 0xCAFEBABE:
            raise ValueError(f"{path} is no class file")
        _number(file, 4)
        pool = _pool(file)
        _number(file, 2)
        name = _class_name(pool, _number(file, 2))
        above = _number(file, 2)
        parents = [_class_name(pool, above)] if above else []
        parents += [_class_name(pool, _number(file, 2)) for _ in range(_number(file, 2))]
        declared = [member for _ in range(2) for member in _members(file, pool, name)]
    references = [
        _reference(pool, *entry[1])
        for entry in pool.values()
        if entry[0] in (_FIELD, _METHOD, _INTERFACE_METHOD)
    ]
    classes = {_class_name(pool, index) for index, entry in pool.items() if entry[0] == _CLASS}
    return ClassFile(
        name, parents, declared, references, {one for one in classes if not one.startswith("[")}
    )


def types_of(descriptor: str) -> list[str]:
    """The types in a method's descriptor, result last; or the one of a field's."""
    found, rest = [], descriptor.replace("(", "").replace(")", "")
    while rest:
        depth = len(rest) - len(rest.lstrip("["))
        end = rest.index(";") + 1 if rest[depth] == "L" else depth + 1
        found.append(rest[:end])
        rest = rest[end:]
    return found


def _pool(file: BinaryIO) -> dict[int, tuple[int, Any]]:
    """Index → (tag, content); of tags that nobody here asks for, bare bytes."""
    pool: dict[int, tuple[int, Any]] = {}
    count, index = _number(file, 2), 1
    while index < count:
        tag = _number(file, 1)
        if tag == _TEXT:  # the format writes NUL its own way, which no name of ours holds
            pool[index] = tag, file.read(_number(file, 2)).decode("utf-8", "replace")
        else:
            content = file.read(_WIDTHS[tag])
            pairs = tag in (_FIELD, _METHOD, _INTERFACE_METHOD, _NAME_AND_TYPE)
            pool[index] = tag, struct.unpack(">HH", content) if pairs else content
        index += 2 if tag in _TWICE else 1
    return pool


def _members(file: BinaryIO, pool: dict[int, tuple[int, Any]], owner: str) -> Iterator[Member]:
    for _ in range(_number(file, 2)):
        flags, name, descriptor = (_number(file, 2) for _ in range(3))
        annotations: set[str] = set()
        for _ in range(_number(file, 2)):
            attribute, content = pool[_number(file, 2)][1], file.read(_number(file, 4))
            if (
                attribute == "RuntimeInvisibleAnnotations" and content[:2] == b"\0\1"
            ):  # one, without arguments
                annotations.add(pool[int.from_bytes(content[2:4], "big")][1])
        yield Member(owner, pool[name][1], pool[descriptor][1], flags, frozenset(annotations))


def _reference(pool: dict[int, tuple[int, Any]], owner: int, name_and_type: int) -> Member:
    name, descriptor = pool[name_and_type][1]
    return Member(_class_name(pool, owner), pool[name][1], pool[descriptor][1])


def _class_name(pool: dict[int, tuple[int, Any]], index: int) -> str:
    return pool[int.from_bytes(pool[index][1], "big")][1].replace("/", ".")


def _number(file: BinaryIO, size: int) -> int:
    return int.from_bytes(file.read(size), "big")
