"""What an exported file stores, in whatever format: tensors, and the operators between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantization:
    """real = scale * (integer - zero_point), per tensor or along one axis."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0

    @classmethod
    def of_tensor(cls, scale: float, zero_point: int) -> "Quantization":
        """One scale for all values."""
        return cls(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @classmethod
    def of_channels(cls, scale: NDArray[np.float32], axis: int) -> "Quantization":
        """Symmetric, a scale for each channel."""
        return cls(scale.astype(np.float32), np.zeros(len(scale), np.int64), axis)

    def equals(self, other: "Quantization | None") -> bool:
        """Whether both mean the same by every integer."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None
    values: NDArray[Any] | None
    """Of a constant; None for what is computed."""


@dataclass(frozen=True)
class Operator:
    """An operator of the file."""

    name: str
    """As in the format's schema, such as CONV_2D."""
    inputs: list[int]
    outputs: list[int]
    options: Any


@dataclass(frozen=True)
class File:
    """What a file holds."""

    tensors: list[Tensor]
    operators: list[Operator]
    image: int
    upscaled: int

    def written(self) -> Iterator[tuple[Operator, Tensor]]:
        """Each operator with the first tensor that it writes."""
        for operator in self.operators:
            yield operator, self.tensors[operator.outputs[0]]
