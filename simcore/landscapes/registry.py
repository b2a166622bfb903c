"""The landscapes by name: for configuration files, the command line and stored runs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from simcore.errors import InputError, unknown_name
from simcore.landscapes.base import Landscape

_HOMES = {
    "torus_field": ("simcore.landscapes.waves", "TorusField"),
    "gaussian_field": ("simcore.landscapes.waves", "GaussianField"),
    "spherical_spin": ("simcore.landscapes.spin", "SphericalSpin"),
    "confined_field": ("simcore.landscapes.waves", "ConfinedField"),
    "mlp": ("simcore.networks.mlp", "MLP"),
    "linear_network": ("simcore.networks.linear", "LinearNetwork"),
    "sigmoid_unit": ("simcore.networks.sigmoid_unit", "SigmoidUnit"),
}
"""Module and class of each name; a module is imported when its name is asked for."""

_EXAMPLES: dict[str, dict[str, Any]] = {
    "torus_field": {"n": [1, 2, 3, 4]},
    "gaussian_field": {"n": [2, 5, 10], "features": 1024},
    "spherical_spin": {"n": [4, 6, 8, 10], "p": 3},
    "confined_field": {"n": 2, "m": [0.5, 1.0]},
}
"""Parameters of the example configurations; other classes state theirs as ``example``."""


def names() -> list[str]:
    """Return the names of all landscapes, sorted."""
    return sorted(name for name, (module, _) in _HOMES.items() if _exists(module))


def get_class(name: str) -> type[Landscape]:
    """Return the class of that name; raise ``InputError`` with the choices for an unknown one."""
    if not isinstance(name, str) or name not in _HOMES or not _exists(_HOMES[name][0]):
        raise unknown_name("landscape", name, names())
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def from_dict(table: Mapping[str, Any]) -> Landscape:
    """Return the landscape of ``{"name": ..., parameter: value, ...}``: what ``Landscape.to_dict`` makes.

    Raises ``InputError`` for a missing or unknown name, an unknown or missing parameter (with the choices and the
    nearest known name) and, from the class itself, for a value of the wrong type or out of range.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"a landscape is described by {type(table).__name__}; give a table with name and parameters")
    settings = dict(table)
    if "name" not in settings:
        raise InputError(f"a landscape has no name; add name = one of {', '.join(names())}")
    name = settings.pop("name")
    kind = get_class(name)
    known = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]
    for key in settings:
        if key not in known:
            raise unknown_name(f"parameter of {name}", key, known)
    missing = [key for key, field in known.items() if _required(field) and key not in settings]
    if missing:
        raise InputError(f"{name} has no {', '.join(missing)}; its parameters are {', '.join(known)}")
    build = getattr(kind, "from_parameters", kind)
    return build(**settings)


def describe(name: str) -> dict[str, Any]:
    """Return what ``simcore landscapes NAME`` prints, JSON-safe.

    Keys: ``name``, ``class``, ``law`` (one line), ``parameters`` (a list of name, type, default; a required one has
    no default), ``start_laws`` (the first is the default), ``about`` (the class's docstring), ``example`` (a
    configuration file).
    """
    kind = get_class(name)
    about = inspect.cleandoc(kind.__doc__ or "")
    parameters = []
    for field in fields(kind):  # type: ignore[arg-type]
        entry: dict[str, Any] = {
            "name": field.name,
            "type": field.type if isinstance(field.type, str) else str(field.type),
        }
        if not _required(field):
            default: Any = field.default
            if default is MISSING:
                default = field.default_factory()  # type: ignore[misc,operator]
            entry["default"] = default if isinstance(default, (int, float, str, type(None))) else repr(default)
        parameters.append(entry)
    start_laws = kind.start_laws if isinstance(kind.start_laws, tuple) else ()
    return {
        "name": name,
        "class": kind.__name__,
        "law": getattr(kind, "law", None) or about.split("\n", 1)[0],
        "parameters": parameters,
        "start_laws": list(start_laws),
        "about": about,
        "example": example_configuration(name),
    }


def example_configuration(name: str) -> str:
    """Return a configuration file for one landscape, ready for ``simcore run``."""
    kind = get_class(name)
    parameters = _EXAMPLES.get(name) or getattr(kind, "example", {})
    method = getattr(kind, "example_method", None) or (
        "newton" if name == "gaussian_field" or name not in _EXAMPLES else "enumerate"
    )
    lines = ["seed = 1", "[[landscape]]", f"name = {json.dumps(name)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in parameters.items()]
    draws = getattr(kind, "example_draws", 100)
    lines += ["[search]", f"method = {json.dumps(method)}", f"draws = {draws}", "starts = 512"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return json.dumps(value)  # numbers, strings and booleans are written alike in JSON and TOML


def _required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
