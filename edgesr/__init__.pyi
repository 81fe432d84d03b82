from edgesr.contract import Upscaler as Upscaler
from edgesr.data import load_benchmark as load_benchmark
from edgesr.errors import UserError as UserError
from edgesr.metrics import evaluate as evaluate
from edgesr.runner import Runner as Runner
from edgesr.upscale import load as load

__all__: list[str]
__version__: str
