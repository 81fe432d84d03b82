"""Images: files, LR images as MATLAB makes them, benchmarks, training patches, drawn images."""

from edgesr.data.benchmarks import Pair, load_benchmark, make_pair
from edgesr.data.downscale import crop_to_multiple, downscale
from edgesr.data.drawn import drawn_images, drawn_pairs
from edgesr.data.formats import FORMATS, writable
from edgesr.data.images import Picture, find_images, read_picture, read_uint8, to_tensor, to_uint8
from edgesr.data.pairs import TrainingSet, load_training
from edgesr.data.patches import PairedImages
from edgesr.data.writing import write_picture

__all__ = [
    "FORMATS",
    "Pair",
    "PairedImages",
    "Picture",
    "TrainingSet",
    "crop_to_multiple",
    "downscale",
    "drawn_images",
    "drawn_pairs",
    "find_images",
    "load_benchmark",
    "load_training",
    "make_pair",
    "read_picture",
    "read_uint8",
    "to_tensor",
    "to_uint8",
    "writable",
    "write_picture",
]
