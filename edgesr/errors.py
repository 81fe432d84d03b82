"""The one exception that means: the caller can mend this."""


class UserError(ValueError):
    """A mistake of the caller: the message says what came, what is allowed and what to do.

    Every command prints it without a traceback and exits with status 1 (see `edgesr.cli.run`).
    Anything else that escapes is a defect of ours and keeps its traceback.
    """


def unknown(kind: str, name: str, known: list[str]) -> UserError:
    """The error for a name that is not in a table, with the nearest one that is."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"Unknown {kind} {name!r}. Known: {', '.join(known)}.{hint}")
