"""The landscapes by name: for configuration files, the command line and stored runs.

``register`` is how every family gets its name, ours (at the end of this file) as well as a user's.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

from simcore.errors import InputError, unknown_name
from simcore.landscapes.base import Landscape
from simcore.plugins import digest, load_from_environment

Factory = Callable[..., Landscape]

GROUP = "simcore.landscapes"
"""Entry point group in which installed packages offer families: ``my_family = "my_package.law:MyFamily"``."""

_FACTORIES: dict[str, Factory | str] = {}
_PARAMETERS: dict[str, tuple[Factory, dict[str, Parameter]]] = {}  # a signature takes longer to read than to use
_STORED: dict[str, Mapping[str, Any]] = {}


def register(name: str, factory: Factory | str) -> None:
    """Give a family of random functions a name for configuration files, sweeps and tables.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores, beginning with a letter.
    factory : callable, or "module:attribute" where it is found
        ``factory(**parameters)`` returns a ``Landscape``; its keyword parameters are the keys of the landscape's table.
        A subclass of ``Landscape`` is one. A name in a string is imported when the family is first asked for.

    Raises
    ------
    InputError
        For a name that is no word, is taken by another factory, or a factory that can't be called by keywords.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"name is {name!r}; give lower-case letters, digits and underscores, such as 'my_field'")
    if not callable(factory) and not (isinstance(factory, str) and factory.count(":") == 1):
        raise InputError(f"factory of {name} is {factory!r}; give a class or function, or 'module:name' of one")
    known = _FACTORIES.get(name)
    if known is not None and known != factory and _same_home(known) != _same_home(factory):
        raise InputError(f"the name {name} is taken by {_same_home(known)}; register under another")
    if callable(factory):
        _parameters(name, factory)  # one that can't be called by keywords is refused here, not in a sweep
    _FACTORIES[name] = factory


def _same_home(factory: Factory | str) -> str:
    return factory if isinstance(factory, str) else f"{factory.__module__}:{factory.__qualname__}"


@dataclass(frozen=True)
class Parameter:
    """A key of a landscape's table: its type as written (``annotation``), and its default where it has one."""

    name: str
    annotation: str
    required: bool
    default: Any = None


def names() -> list[str]:
    """Return the names of all landscapes, sorted."""
    load_from_environment()
    _find_entry_points()
    return sorted(_FACTORIES)


def get_factory(name: str) -> Factory:
    """Return what builds landscapes of that name; raise ``InputError`` with the choices for an unknown one."""
    if name not in _FACTORIES:
        load_from_environment()
    if name not in _FACTORIES:
        _find_entry_points()
    if not isinstance(name, str) or name not in _FACTORIES:
        raise unknown_name("landscape", name, names())
    factory = _FACTORIES[name]
    if isinstance(factory, str):
        module, attribute = factory.split(":")
        found: Factory = getattr(import_module(module), attribute)
        _FACTORIES[name] = found
        return found
    return factory


@functools.cache
def _find_entry_points() -> None:
    """Register what installed packages offer in the entry point group ``simcore.landscapes``, importing none of it.

    An entry ``name = "module:factory"`` whose name is no word, or is taken, is left out with a warning.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            register(entry.name, entry.value)
        except InputError as error:
            warnings.warn(f"entry point {entry.name} = {entry.value} of {GROUP}: {error}", stacklevel=2)


def source_of(name: str) -> dict[str, str]:
    """Return the module that a family's factory comes from, with the SHA-256 of its source; nothing for our own."""
    module = str(getattr(get_factory(name), "__module__", "simcore"))
    if module not in sys.modules or module.partition(".")[0] == "simcore":
        return {}
    found = digest(sys.modules[module])
    return {module.partition(".")[0]: found} if found else {}


def is_own(name: str) -> bool:
    """Whether a family is not one of simcore's."""
    return name not in _BUILT_IN


def remember(entries: Iterable[Mapping[str, Any]], known: Iterable[Mapping[str, Any] | None]) -> None:
    """Keep what a run tells of families (``stored.facts``), by the entries of its configuration.

    ``from_dict`` then returns a stand-in for an entry whose family is not at hand: reading imports nothing.
    """
    for entry, told in zip(entries, known, strict=True):
        if told is not None:
            _STORED[_key(entry)] = told


def _key(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True)


def at_hand(name: Any) -> bool:
    """Whether a family's factory is known and its module imported, or one of simcore's."""
    load_from_environment()
    factory = _FACTORIES.get(name)
    if isinstance(factory, str):
        module = factory.partition(":")[0]
        return module.partition(".")[0] == "simcore" or module in sys.modules
    return factory is not None


def get_class(name: str) -> type[Landscape]:
    """Return the class behind a name: what it states holds for all landscapes of that name.

    For a name whose factory is a function that is ``Landscape`` itself, whose defaults then hold.
    """
    factory = get_factory(name)
    return factory if isinstance(factory, type) else Landscape


def parameters(name: str) -> dict[str, Parameter]:
    """Return the parameters of a landscape's table by name, in order."""
    factory = get_factory(name)
    known = _PARAMETERS.get(name)
    if known is None or known[0] is not factory:
        known = _PARAMETERS[name] = factory, _parameters(name, factory)
    return known[1]


def _parameters(name: str, factory: Factory) -> dict[str, Parameter]:
    found = {}
    for key, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InputError(f"factory of {name} takes {parameter}; give it named parameters, each a key of the table")
        required, default = parameter.default is parameter.empty, parameter.default
        if is_dataclass(factory) and not required:  # a default made by a function shows as a mark in the signature
            field = next((f for f in fields(factory) if f.name == key), None)
            if field is not None and callable(field.default_factory):
                default = field.default_factory()
        kind = parameter.annotation
        annotation = (
            "" if kind is parameter.empty else kind if isinstance(kind, str) else inspect.formatannotation(kind)
        )
        found[key] = Parameter(key, annotation, required, None if required else default)
    return found


def from_dict(table: Mapping[str, Any]) -> Landscape:
    """Return the landscape of ``{"name": ..., parameter: value, ...}``: what ``Landscape.to_dict`` makes.

    Raises ``InputError`` for a missing or unknown name, an unknown or missing parameter (with the choices and the
    nearest known name) and, from the factory itself, for a value of the wrong type or out of range.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"a landscape is described by {type(table).__name__}; give a table with name and parameters")
    if _STORED and not at_hand(table.get("name")) and (told := _STORED.get(_key(table))) is not None:
        from simcore.landscapes.stored import StoredLandscape

        return StoredLandscape(table, told)
    settings = dict(table)
    if "name" not in settings:
        raise InputError(f"a landscape has no name; add name = one of {', '.join(names())}")
    name = settings.pop("name")
    known = parameters(name)
    for key in settings:
        if key not in known:
            raise unknown_name(f"parameter of {name}", key, known)
    missing = [key for key, parameter in known.items() if parameter.required and key not in settings]
    if missing:
        raise InputError(f"{name} has no {', '.join(missing)}; its parameters are {', '.join(known)}")
    landscape = get_factory(name)(**settings)
    if not isinstance(landscape, Landscape):
        raise InputError(f"the factory of {name} returned {type(landscape).__name__}; return a simcore landscape")
    if landscape.name != name:
        landscape.be_known_as(name, {key: settings.get(key, parameter.default) for key, parameter in known.items()})
    return landscape


def describe(name: str) -> dict[str, Any]:
    """Return what ``simcore landscapes NAME`` prints, JSON-safe.

    Keys: ``name``, ``class``, ``law`` (one line), ``parameters`` (a list of name, type, default; a required one has
    no default), ``start_laws`` (the first is the default), ``about`` (the docstring), ``example`` (a configuration
    file).
    """
    factory, kind = get_factory(name), get_class(name)
    about = inspect.cleandoc(factory.__doc__ or "")
    described = []
    for parameter in parameters(name).values():
        entry: dict[str, Any] = {"name": parameter.name, "type": parameter.annotation}
        if not parameter.required:
            default = parameter.default
            entry["default"] = default if isinstance(default, (int, float, str, type(None))) else repr(default)
        described.append(entry)
    return {
        "name": name,
        "class": factory.__name__,
        "law": kind.law or about.split("\n", 1)[0],
        "parameters": described,
        "start_laws": list(kind.start_laws) if isinstance(kind.start_laws, tuple) else [],
        "about": about,
        "example": example_configuration(name),
    }


def example_configuration(name: str) -> str:
    """Return a configuration file for one landscape, ready for ``simcore run`` but for values that only the author of a
    family knows: required parameters without an example stand there as comments."""
    kind = get_class(name)
    lines = ["seed = 1", "[[landscape]]", f"name = {json.dumps(name)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in kind.example.items()]
    asked = [one for key, one in parameters(name).items() if one.required and key not in kind.example]
    lines += [f"# {one.name} = ...  ({one.annotation or 'a value'}): required" for one in asked]
    lines += [
        "[search]",
        f"method = {json.dumps(kind.example_method)}",
        f"draws = {kind.example_draws}",
        "starts = 512",
    ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return json.dumps(value)  # numbers, strings and booleans are written alike in JSON and TOML


register("torus_field", "simcore.landscapes.waves:TorusField")
register("gaussian_field", "simcore.landscapes.waves:GaussianField")
register("confined_field", "simcore.landscapes.waves:ConfinedField")
register("spherical_spin", "simcore.landscapes.spin:SphericalSpin")
register("mlp", "simcore.networks.mlp:MLP")
register("linear_network", "simcore.networks.linear:LinearNetwork")
register("convolutional_network", "simcore.networks.convolutional:ConvolutionalNetwork")
register("recurrent_network", "simcore.networks.recurrent:RecurrentNetwork")
register("sigmoid_unit", "simcore.networks.sigmoid_unit:SigmoidUnit")

_BUILT_IN = frozenset(_FACTORIES)
