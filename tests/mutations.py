"""What happens to files on disks, in transit and in bad hands: one helper for all fuzz tests.

`harmed(content)` is a strategy of bytes, `harmed_json(content)` one of JSON.
`EDGESR_FUZZ_EXAMPLES=10000` tries so many of each; without it a test tries what it says, the same ones
every time.
"""

import copy
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONG = os.environ.get("EDGESR_FUZZ_EXAMPLES")

NUMBERS = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40)
NUMBERS += (2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -4)
"""What a length, an offset or a count is replaced by."""

NAMES = (
    "",
    "a\nsha256=0",
    "..",
    "../x",
    "/",
    "\0",
    "a" * 5000,
    "é",
    "con",
    "float32",
    "msfin-s",
    "w8a8",
    "nan",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 2**31, 2**40, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), *NAMES, [], {}, [None], [0], [[]], [2**40, 2**40], {"": None}, [3, -3],
)  # fmt: skip
"""What stands for anything in JSON."""


def examples(count: int) -> settings:
    """So many in CI, derandomized; as many as the environment says where that says a number."""
    return settings(
        max_examples=int(LONG) if LONG else count,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=[
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
            HealthCheck.large_base_example,
            HealthCheck.too_slow,
        ],
    )


@st.composite
def harmed(draw: st.DrawFn, content: bytes, *, head: int = 0) -> bytes:
    """The content after one to three accidents; half of them in the first `head` bytes, if given."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        accident = draw(st.sampled_from(ACCIDENTS))
        limit = min(head, len(found)) if head and draw(st.booleans()) else len(found)
        accident(draw, found, draw(st.integers(0, max(0, limit - 1))))
    return bytes(found)


def _flip(draw: st.DrawFn, found: bytearray, place: int) -> None:
    if found:
        found[place] ^= 1 << draw(st.integers(0, 7))


def _overwrite(draw: st.DrawFn, found: bytearray, place: int) -> None:
    some = draw(st.binary(min_size=1, max_size=8))
    found[place : place + len(some)] = some


def _number(draw: st.DrawFn, found: bytearray, place: int) -> None:
    """A whole number where one may be: at its alignment, of 2, 4 or 8 bytes."""
    width = draw(st.sampled_from([2, 4, 8]))
    order = draw(st.sampled_from(["little", "little", "big"]))
    value = draw(st.sampled_from([*NUMBERS, len(found), len(found) + 1, len(found) - 1]))
    place -= place % width
    found[place : place + width] = (value % 2 ** (8 * width)).to_bytes(width, order)


def _cut(draw: st.DrawFn, found: bytearray, place: int) -> None:
    del found[place:]


def _take_out(draw: st.DrawFn, found: bytearray, place: int) -> None:
    del found[place : place + draw(st.integers(1, 64))]


def _splice(draw: st.DrawFn, found: bytearray, place: int) -> None:
    """A piece of the file over another, or between."""
    start, length = draw(st.integers(0, max(0, len(found) - 1))), draw(st.integers(1, 256))
    found[place : place + draw(st.sampled_from([0, length]))] = found[start : start + length]


def _extend(draw: st.DrawFn, found: bytearray, place: int) -> None:
    found.extend(draw(st.binary(min_size=1, max_size=64)) * draw(st.sampled_from([1, 1, 1000])))


def _blank(draw: st.DrawFn, found: bytearray, place: int) -> None:
    """A page that was never written."""
    length = min(draw(st.sampled_from([16, 512, 4096])), len(found) - place)
    found[place : place + length] = bytes([draw(st.sampled_from([0, 255]))]) * length


ACCIDENTS = (
    _flip,
    _flip,
    _overwrite,
    _number,
    _number,
    _number,
    _cut,
    _take_out,
    _splice,
    _extend,
    _blank,
)


@st.composite
def harmed_json(draw: st.DrawFn, content: Any) -> Any:
    """The content with one to three of its values, at any depth, replaced, left out or doubled."""
    found: Any = {"": copy.deepcopy(content)}
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_places(found))))
        strange = copy.deepcopy(draw(st.sampled_from(VALUES)))  # the next accident may change it
        match draw(st.sampled_from(["replace", "replace", "replace", "wrap", "remove", "add"])):
            case "wrap":
                holder[key] = [holder[key]]
            case "remove" if holder is not found:
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(NAMES))] = strange
            case _:
                holder[key] = strange
    return found.get("")


def _places(holder: Any) -> Any:
    """Every (container, key) below."""
    for key in list(holder if isinstance(holder, dict) else range(len(holder))):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])
