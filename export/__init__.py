"""From a checkpoint to files that a phone runs: `python -m export.<target>`.

Run these with `-m` only: as plain scripts they would hide the packages that they are named after.
"""

import edgesr.cli  # noqa: F401  first of all, so that notices of the packages behind it are kept back
