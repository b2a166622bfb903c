"""The errors that simcore raises on purpose.

Each message is one line that says what was given, what is allowed and what to do next. The command line
prints it without a traceback and exits with the class's ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class SimcoreError(Exception):
    """Base of every error that simcore raises on purpose; whatever it quotes, its message is one line."""

    exit_code = 1

    def __init__(self, *parts: object) -> None:
        super().__init__(*(" ".join(p.split()) if isinstance(p, str) and "\n" in p else p for p in parts))


class InputError(SimcoreError, ValueError):
    """Bad usage or bad input: an unknown name, a wrong type, a value out of range (exit code 2)."""

    exit_code = 2


class RunError(SimcoreError, RuntimeError):
    """A run, a shard or a check failed although the input was fine (exit code 1)."""


class DeviceError(RunError):
    """A CUDA device failed in the middle of its work: this process can use it no more, a new one can (exit code 1)."""


class IncompleteWarning(UserWarning):
    """An enumeration ended before its rule of completeness held: points may be missing."""


def shown(value: Any) -> str:
    """Return a short text of a value for a message: TOML's words for booleans, never more than 60 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a whole number of more than 40 digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python prints no whole number of more than some thousand digits
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= 60 else f"{text[:57]}..."


def unknown_name(
    what: str, given: object, choices: Iterable[str], meant: Mapping[str, str] | None = None
) -> InputError:
    """Return the error for a name that is not among the choices, with the nearest known name.

    ``meant`` maps other words for a choice to it: "gpu" is nearer to "cpu" by letters, but means "cuda".
    """
    known = sorted(choices)
    near = (meant or {}).get(str(given).lower()) or nearest(str(given), known)
    hint = f"; did you mean {near!r}?" if near else ""
    return InputError(f"unknown {what} {given!r}; choose from {', '.join(known)}{hint}")


def instance_wanted(what: str, given: object, advice: str) -> InputError:
    """Return the error for an argument that is no instance of what was asked for; a class has its own words."""
    if isinstance(given, type):
        return InputError(f"{what} is the class {given.__name__}; give an instance, such as {advice}")
    return InputError(f"{what} is {type(given).__name__}; give {advice}")


def nearest(given: str, known: list[str]) -> str | None:
    """Return the known name that was likely meant: one of nearly the same letters, or one that begins alike."""
    from difflib import get_close_matches  # here, since few processes meet a wrong name

    plain = {name.lower(): name for name in reversed(known)}
    close = get_close_matches(given.lower(), plain, n=1) or [name for name in plain if name.startswith(given.lower())]
    return plain[close[0]] if close and given else None
