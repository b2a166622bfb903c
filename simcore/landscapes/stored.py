"""A family whose code is not here: what run.json tells of it, so that a run is read without importing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from simcore import domains
from simcore.errors import InputError
from simcore.landscapes.base import Landscape, Scales

_DOMAINS = ("Torus", "Sphere", "Space", "ConfinedSpace")


def facts(landscape: Landscape) -> dict[str, Any]:
    """Return what reading a run asks of a landscape, JSON-safe; ``StoredLandscape`` takes it back."""
    return {
        "n": landscape.n,
        "domain": landscape.domain.to_dict(),
        "euler_characteristic": landscape.euler_characteristic,
        "coercive": landscape.coercive,
        "draws": landscape.draws,
        "start_laws": list(landscape.start_laws),
        "law": landscape.law,
    }


class StoredLandscape(Landscape):
    """The stand-in for a family of a run: its names and its domain, but no function.

    ``table`` is the entry of the configuration, ``known`` what ``facts`` returned. To draw from it is an
    ``InputError`` that asks for the module.
    """

    def __init__(self, table: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self._table, self._facts = dict(table), dict(known)
        self.name = table["name"]  # type: ignore[misc]
        self.parameters = tuple(key for key in table if key != "name")  # type: ignore[misc]
        self.start_laws, self.law = tuple(known["start_laws"]), known["law"]  # type: ignore[misc]
        self.n = int(known["n"])

    @property
    def domain(self) -> domains.Domain:
        stored = self._facts["domain"]
        if stored["kind"] == "Box":
            return domains.Box(stored["low"], stored["high"])
        return getattr(domains, stored["kind"] if stored["kind"] in _DOMAINS else "Space")(self.n)

    @property
    def euler_characteristic(self) -> int | None:
        return self._facts["euler_characteristic"]

    @property
    def coercive(self) -> bool:
        return bool(self._facts["coercive"])

    @property
    def draws(self) -> int | None:
        return self._facts["draws"]

    @property
    def scales(self) -> Scales:
        self._absent()

    def draw(self, *, seed: int, draw: int = 0) -> NoReturn:
        self._absent()

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> NoReturn:
        self._absent()

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the configuration."""
        return dict(self._table)

    def _absent(self) -> NoReturn:
        raise InputError(
            f"the module that registers {self.name} is not loaded, so none of its functions can be drawn; "
            "name it with --plugin MODULE"
        )
