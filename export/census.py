"""What an exported file is made of, read from the file itself, the same for every target."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

IMAGE = -1
"""The number of the image among the sources of an operator."""


@dataclass(frozen=True)
class Operator:
    """An operator that computes; what only changes a tensor's type is none inside a delegate."""

    kind: str
    """As the target names it."""
    computes: Literal["int8", "float", "other"]
    """What it writes, as far as the file says: of a .pte's operators outside it does not."""
    partition: int | None
    """The delegate that it is in, from 0; None outside of all."""
    sources: tuple[int, ...] = ()
    """Whose results it reads: numbers of operators before it in the file's list, or `IMAGE`."""


@dataclass(frozen=True)
class Node:
    """An operator as its file has it, with the values between operators under whatever name."""

    operator: Operator
    reads: Iterable[Hashable]
    """Constants may be among them."""
    writes: Iterable[Hashable]
    moves: bool = False
    """Whether it only changes a value's type: who reads what it wrote reads what it read."""


def linked(nodes: Iterable[Node], image: Hashable) -> list[Operator]:
    """The operators that compute, in their order, each with its sources. `image` names the input."""
    origin: dict[Hashable, int] = {image: IMAGE}
    found: list[Operator] = []
    for node in nodes:
        sources = sorted({origin[value] for value in node.reads if value in origin})
        if node.moves:
            origin |= dict.fromkeys(node.writes, sources[0]) if sources else {}
            continue
        origin |= dict.fromkeys(node.writes, len(found))
        found.append(replace(node.operator, sources=tuple(sources)))
    return found


@dataclass(frozen=True)
class Census:
    """What a file is made of, in numbers."""

    ops_delegated: int
    ops_outside: int
    partitions: int
    outside: list[str]
    """Names of the operators outside the delegate, one per call."""
    int8_ops: int
    float_ops: list[str]
    """Kinds of delegated operators that compute in float, sorted, each once."""
    float_weight_bytes: int
    """Constant float tensors of the delegates: in an int8 file, those of float islands."""
    planned_bytes: int
    """Memory for activations between delegates, as planned when the file was made."""
    transposes: int = 0
    """Operators that turn an image's memory round, whatever the target calls them."""


def counted(
    operators: Sequence[Operator],
    *,
    partitions: int,
    float_weight_bytes: int,
    planned_bytes: int,
    transposes: int = 0,
) -> Census:
    """The census of a file with these operators."""
    delegated = [operator for operator in operators if operator.partition is not None]
    outside = [operator.kind for operator in operators if operator.partition is None]
    return Census(
        ops_delegated=len(delegated),
        ops_outside=len(outside),
        partitions=partitions,
        outside=outside,
        int8_ops=sum(operator.computes == "int8" for operator in delegated),
        float_ops=sorted({operator.kind for operator in delegated if operator.computes == "float"}),
        float_weight_bytes=float_weight_bytes,
        planned_bytes=planned_bytes,
        transposes=transposes,
    )
