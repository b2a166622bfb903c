"""What a search on a landscape needs of memory, and the refusal of what does not fit, before anything is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.errors import InputError
from simcore.info import bytes_as_text, free_memory

if TYPE_CHECKING:
    from simcore.landscapes.base import Landscape

ALWAYS_FINE = 256e6  # bytes below which nobody asks what is free


def working_bytes(landscape: Landscape, threads: int = 1) -> float:
    """Return about how many bytes the coefficients and the Hessians of a search take, beside the rows."""
    return 24.0 * landscape.coefficients + threads * landscape.hessians_held * 8.0 * float(landscape.n) ** 2


def evaluation_bytes(landscape: Landscape, points: int) -> float:
    """Return about how many bytes value, gradient and Hessian at some points take: the slow twin makes them all."""
    return 16.0 * landscape.numbers + 16.0 * points * float(landscape.n) ** 2


def refuse_evaluation(landscape: Landscape, points: int, why: MemoryError | None = None) -> None:
    """Raise ``InputError`` with both sizes where an evaluation would not fit, or did not (``why``)."""
    needed, free = evaluation_bytes(landscape, points), free_memory()
    if why is not None or (needed > ALWAYS_FINE and needed > free):
        hessians = f" and Hessians at {points} point{'' if points == 1 else 's'}" if points else ""
        raise InputError(
            f"{landscape.name} with n = {landscape.n} needs about {bytes_as_text(needed)} of memory for coefficients"
            f"{hessians}, {bytes_as_text(free)} are free; give fewer points, variables, features or samples"
        ) from None


def require_rows(landscape: Landscape, rows: int, *, positions: bool, spectrum: bool) -> None:
    """Raise ``InputError`` with both sizes, before anything is allocated, where a table of starts would not fit."""
    needed = rows * (110.0 + 16.0 * landscape.n * positions + (112.0 + 8.0 * landscape.dimension) * spectrum)
    if needed > ALWAYS_FINE and needed > (free := free_memory()):
        raise InputError(
            f"the table of {rows} starts needs about {bytes_as_text(needed)} of memory, {bytes_as_text(free)} are "
            "free; search fewer draws or starts at once, or let simcore run write them to files"
        )


def require_memory(landscape: Landscape) -> None:
    """Raise ``InputError`` with both sizes, before anything is allocated, where one thread's search would not fit."""
    needed = working_bytes(landscape)
    if needed > ALWAYS_FINE and needed > (free := free_memory()):
        raise InputError(
            f"a search on {landscape.name} with n = {landscape.n} needs about {bytes_as_text(needed)} of memory for "
            f"coefficients and Hessians, {bytes_as_text(free)} are free; give fewer variables, features or samples"
        )
