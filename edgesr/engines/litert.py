"""The TFLite runtimes, and a .tflite's own facts. Needs numpy and one of them, nothing else.

LiteRT is today's runtime; older boards have tflite-runtime, whose interface is the same.
"""

import struct
from typing import Any

import numpy as np

FACTS = "edgesr_facts"
"""The metadata entry of a .tflite that holds its facts as JSON."""

IDENTIFIER = b"TFL3"
BUFFERS, METADATA = 4, 6
NAME, BUFFER = 0, 1
"""Fields of the schema's tables Model and Metadata, by position."""


def runtime() -> Any:
    """The module that has `Interpreter`. ImportError says what to install if there is none."""
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        try:
            from tflite_runtime import interpreter  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError("neither ai-edge-litert nor tflite-runtime is installed") from error
        if int(np.__version__.split(".")[0]) >= 2:
            raise ImportError(
                "tflite-runtime was built for numpy 1: it imports beside numpy 2, but runs nothing"
            ) from None
    return interpreter


def open_interpreter(content: bytes, *, threads: int = 1, reference: bool = False) -> Any:
    """An interpreter of a file's content, ready to run; with the slow reference kernels if asked.

    Raises ImportError without a runtime, ValueError or RuntimeError for what is not a .tflite.
    """
    module = runtime()
    kernels = module.OpResolverType
    interpreter = module.Interpreter(
        model_content=content,
        num_threads=threads,
        experimental_op_resolver_type=kernels.BUILTIN_REF if reference else kernels.AUTO,
    )
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter: Any, image: np.ndarray) -> np.ndarray:
    """RGB (1,H,W,3) in [0,1], float32 → (1,sH,sW,3), float32, through a file with ends of any type."""
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], _quantized(image, given))
    interpreter.invoke()
    return _dequantized(interpreter.get_tensor(wanted["index"]), wanted)


def facts_text(content: bytes) -> str | None:
    """The facts inside a .tflite, as JSON; None if there are none. ValueError if it is no .tflite.

    Neither runtime hands out metadata, so the two tables of the flatbuffer are read here.
    """
    if content[4:8] != IDENTIFIER:
        raise ValueError("it does not begin as a .tflite does")
    try:
        model = _follow(content, 0)
        for entry in _vector(content, _field(content, model, METADATA)):
            name = _bytes(content, _field(content, entry, NAME))
            if name.decode() == FACTS:
                (index,) = struct.unpack_from("<I", content, _field(content, entry, BUFFER) or 0)
                buffer = _vector(content, _field(content, model, BUFFERS))[index]
                return _bytes(content, _field(content, buffer, 0)).decode()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"its tables are broken ({error})") from error
    return None


def _quantized(image: np.ndarray, end: dict[str, Any]) -> np.ndarray:
    if end["dtype"] == np.float32:
        return np.ascontiguousarray(image, np.float32)
    scale, zero_point = end["quantization"]
    limits = np.iinfo(end["dtype"])
    levels = np.rint(image * np.float32(1 / np.float32(scale))) + zero_point
    return np.ascontiguousarray(levels.clip(limits.min, limits.max), end["dtype"])


def _dequantized(values: np.ndarray, end: dict[str, Any]) -> np.ndarray:
    if end["dtype"] == np.float32:
        return values
    scale, zero_point = end["quantization"]
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def _field(content: bytes, table: int, position: int) -> int | None:
    """Where a field of a flatbuffer table lies; None if the table leaves it out."""
    (back,) = struct.unpack_from("<i", content, table)
    layout = table - back
    (size,) = struct.unpack_from("<H", content, layout)
    entry = 4 + 2 * position
    if entry >= size:
        return None
    (offset,) = struct.unpack_from("<H", content, layout + entry)
    return table + offset if offset else None


def _follow(content: bytes, place: int) -> int:
    """Where the offset at `place` leads."""
    return place + struct.unpack_from("<I", content, place)[0]


def _vector(content: bytes, place: int | None) -> list[int]:
    """Where the tables of a vector of tables lie."""
    if place is None:
        return []
    start = _follow(content, place)
    (count,) = struct.unpack_from("<I", content, start)
    if start + 4 * count > len(content):
        raise IndexError("a vector reaches beyond the end")
    return [_follow(content, start + 4 + 4 * index) for index in range(count)]


def _bytes(content: bytes, place: int | None) -> bytes:
    """A string, or a vector of bytes."""
    if place is None:
        return b""
    start = _follow(content, place)
    (count,) = struct.unpack_from("<I", content, start)
    if start + 4 + count > len(content):
        raise IndexError("a string reaches beyond the end")
    return content[start + 4 : start + 4 + count]
