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


def require_memory(landscape: Landscape) -> None:
    """Raise ``InputError`` with both sizes, before anything is allocated, where one thread's search would not fit."""
    needed = working_bytes(landscape)
    if needed > ALWAYS_FINE and needed > (free := free_memory()):
        raise InputError(
            f"a search on {landscape.name} with n = {landscape.n} needs about {bytes_as_text(needed)} of memory for "
            f"coefficients and Hessians, {bytes_as_text(free)} are free; give fewer variables, features or samples"
        )
