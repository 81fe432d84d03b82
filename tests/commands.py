"""Commands as somebody types them, run in this process, where everything is imported once."""

import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from runpy import run_module

import pytest


def typed(words: list[str]) -> None:
    """`python -m WORDS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.delitem(sys.modules, words[0], raising=False)  # else runpy warns that it runs twice
        run_module(words[0], run_name="__main__", alter_sys=True)


@cache
def help_of(*words: str) -> str:
    """What `python -m WORDS --help` prints, which ends with status 0."""
    with redirect_stdout(StringIO()) as shown, pytest.raises(SystemExit) as ended:
        typed([*words, "--help"])
    assert ended.value.code == 0
    return shown.getvalue()
