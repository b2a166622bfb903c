"""What a benchmark is asked for, and the landscape that it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simcore.errors import InputError


@dataclass(frozen=True)
class Settings:
    """The options of ``simcore bench``; None where a case has its own default."""

    landscape: str | None = None
    n: int | None = None
    features: int = 1024
    p: int = 3
    widths: tuple[int, ...] | None = None
    threads: int = 1
    backend: str = "cpu"
    repeats: int = 5
    peers: bool = False

    def table(self, default: str, size: int) -> dict[str, Any]:
        """Return the landscape as a configuration table, with a case's own default name and size."""
        from simcore.landscapes import registry

        name = self.landscape or default
        known = registry.get_class(name).parameters
        table: dict[str, Any] = {"name": name}
        if "n" in known:
            table["n"] = size if self.n is None else self.n
        if "features" in known:
            table["features"] = self.features
        if "p" in known:
            table["p"] = self.p
        if "widths" in known:
            if self.widths is None:
                raise InputError(f"{name} needs its layer widths; give --widths, such as --widths 4,8,1")
            table["widths"] = list(self.widths)
        if "m" in known:
            table["m"] = 0.5
        return table
