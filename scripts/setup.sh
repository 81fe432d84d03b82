#!/usr/bin/env bash
# Makes .venv and installs everything into it. `make setup` calls it once; calling it again is safe.
#
# Which build of PyTorch comes is the choice of pip's own configuration: point PIP_INDEX_URL or
# PIP_EXTRA_INDEX_URL (or pip.conf) at the index of a CPU or CUDA build to get that one. Without any,
# Linux gets a CUDA build and macOS a CPU build; the CUDA build runs on a CPU too, it is only large.
set -euo pipefail
cd "$(dirname "$0")/.."

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null; }

python=
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if fits "$candidate"; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
    echo "error: Python 3.11, 3.12 or 3.13 is needed; ${PYTHON:-no python3 on the PATH} is none of them." >&2
    echo "Name it: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi

"$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet)

# torch comes first and alone, at its exact version, so that no other package drags in another build.
torch=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
echo "installing $torch"
"${pip[@]}" "$torch"
echo "installing edgesr and its developer tools"
"${pip[@]}" --editable '.[dev]'

gpu=no
if command -v nvidia-smi > /dev/null && nvidia-smi --list-gpus 2> /dev/null | grep -q .; then gpu=yes; fi
.venv/bin/python - "$gpu" <<'REPORT'
import sys

import torch

build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
print(f"PyTorch {torch.__version__} ({build} build); NVIDIA GPU on this machine: {sys.argv[1]}")
if (sys.argv[1] == "yes") != bool(torch.version.cuda):
    print("Another build would suit this machine better: see the head of scripts/setup.sh.")
REPORT
