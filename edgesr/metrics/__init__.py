"""Scores of super-resolved images, computed as the published tables do."""

from edgesr.metrics.color import grey, luma
from edgesr.metrics.evaluate import Score, Scores, evaluate, score
from edgesr.metrics.psnr import psnr
from edgesr.metrics.ssim import ssim

__all__ = ["Score", "Scores", "evaluate", "grey", "luma", "psnr", "score", "ssim"]
