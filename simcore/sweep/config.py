"""The configuration of a sweep: a TOML file, validated to the last key, turned into a frozen value.

Nothing in a configuration is ever evaluated: it is read by the standard library's TOML parser and compared with the
tables below, so a file can do no more than name things and give numbers.

Lists are products: every parameter of a ``[[landscape]]`` table may be a list of values (a parameter that is itself a
list, such as the widths of a network, a list of lists), and the sweep has one *combination* for each element of the
product. Two equal combinations are refused, since their rows would be counted twice.

The *hash* of a configuration leaves out ``draws``, ``max_draws`` and ``target_error``: a run may be continued with more
draws, and with nothing else changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import InputError, shown, unknown_name
from simcore.statistics.stopping import FIRST_LOOK, looks

if TYPE_CHECKING:
    from simcore.landscapes.base import Landscape
    from simcore.landscapes.registry import Parameter
    from simcore.search.solvers import Solver

METHODS = ("newton", "enumerate", "ball", "walk", "paths")
ESTIMATED = ("walk", "paths")
"""Methods of ``simcore.estimate_counts``: a row a (draw, index); they have neither starts nor points."""
LATER = ("moves", "max_moves", "walkers")
"""Settings that older runs do not know: left out of the hash where they are not given, which stays as it was."""
MOST_COMBINATIONS = 10_000
MOST_KEPT = 64
"""Landscapes that a configuration keeps: one of a user's family may take seconds to compile and to try."""
MOST_BYTES = 1 << 20  # of a configuration file: beyond it the file is not a configuration
WORD = (1 << 32) - 1  # draws and starts are 32-bit words of the random number generator's counter
SEEDS = (1 << 64) - 1


@dataclass(frozen=True)
class Key:
    """What a key may hold: its kind, its range (inclusive, unless ``open``), its choices, and its default."""

    kind: str  # "whole", "number", "flag", "word", "proof"
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None
    methods: tuple[str, ...] = METHODS

    def wants(self) -> str:
        """Say what the key allows."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind == "flag":
            return "true or false"
        if self.kind == "proof":
            return 'true, false or "auto"'
        if self.kind == "word":
            return "a name in quotes"
        noun = "a whole number" if self.kind == "whole" else "a number"
        if self.open and self.high == math.inf:
            return f"{noun} above {self.low:g}"
        if self.open:
            return f"{noun} between {self.low:g} and {self.high:g}"
        if self.high == math.inf:
            return f"{noun} of at least {self.low:g}"
        return (
            f"{noun} from {self.low:.20g} to {self.high:.20g}"
            if self.kind == "number"
            else f"{noun} from {self.low} to {self.high}"
        )

    def check(self, where: str, value: Any) -> Any:
        """Return the value, or raise ``InputError`` naming the key, the value and what is allowed."""
        kinds: dict[str, tuple[type, ...]] = {"whole": (int,), "number": (int, float), "flag": (bool,), "word": (str,)}
        if self.kind == "proof":
            right = isinstance(value, bool) or value == "auto"
        else:
            right = isinstance(value, kinds[self.kind]) and (self.kind == "flag" or not isinstance(value, bool))
        if right and self.choices and value not in self.choices:
            raise unknown_name(where, value, self.choices)
        if right and self.kind in ("whole", "number"):
            right = self.low < value < self.high if self.open else self.low <= value <= self.high  # False for NaN
        if not right:
            raise InputError(f"{where} is {shown(value)}; give {self.wants()}")
        return float(value) if self.kind == "number" else value


SEED = Key("whole", 0, SEEDS, default=0)
SEARCH: dict[str, Key] = {
    "method": Key("word", choices=METHODS),
    "draws": Key("whole", 1, WORD),
    "target_error": Key("number", 0, 1, open=True),
    "max_draws": Key("whole", FIRST_LOOK, WORD),
    "starts": Key("whole", 0, WORD),
    "start_law": Key("word"),
    "positions": Key("flag", default=False),
    "spectrum": Key("flag", default=False),
    "max_starts": Key("whole", 1, WORD, methods=("enumerate", "ball")),
    "prove": Key("proof", methods=("enumerate",)),
    "radius": Key("number", 0, math.inf, open=True, methods=("ball",)),
    "moves": Key("whole", 1, SEEDS, methods=ESTIMATED),
    "max_moves": Key("whole", 1, SEEDS, methods=ESTIMATED),
    "walkers": Key("whole", 2, 4096, methods=("walk",)),
}
"""Keys of ``[search]``. ``prove``: prove lists complete, wherever a method exists (true), nowhere (false) or where that
is cheap ("auto", the default); with a proof ``starts`` may be 0. ``max_starts``: starts after which a draw that is not
complete is given up (and says so); ``radius``: of the ball, a length in x, by default one that holds some ten
points. ``moves``, ``max_moves``, ``walkers``: as for ``simcore.estimate_counts``, whose ``target_error`` is each draw's
in runs of these methods, so that ``draws`` says how many there are. A key that says what is the default anyway may
stand beside any method, so that the method of a file can be changed alone."""

DEFAULT_STARTS = {"newton": 256, "enumerate": 512, "ball": 512, "walk": 1, "paths": 1}
TABLES = ("seed", "landscape", "search", "solver")


@dataclass(frozen=True)
class Configuration:
    """A validated sweep. Make one with ``read_configuration`` (a file) or ``Configuration.from_mapping`` (its tables).

    seed : 0 .. 2^64 - 1.
    combinations : one landscape dictionary (``Landscape.to_dict``) an element of the product, in the file's order.
    method : "newton", "enumerate", "ball", "walk" or "paths".
    draws : functions per combination; None where ``target_error`` (relative standard error of the ratio of saddles to
        minima, annealed) with ``max_draws`` decides.
    starts, max_starts, prove, radius, moves, max_moves, walkers, start_law, positions, spectrum : see ``[search]``;
        ``start_law`` None is each landscape's default.
    solver : the ``[solver]`` table, normalised.
    """

    seed: int
    combinations: tuple[dict[str, Any], ...]
    method: str
    starts: int
    draws: int | None = None
    target_error: float | None = None
    max_draws: int | None = None
    max_starts: int | None = None
    prove: bool | str | None = None
    radius: float | None = None
    moves: int | None = None
    max_moves: int | None = None
    walkers: int | None = None
    start_law: str | None = None
    positions: bool = False
    spectrum: bool = False
    solver: dict[str, Any] = field(default_factory=dict)

    # ---- making one ----------------------------------------------------------------------------------------------
    @classmethod
    def from_mapping(cls, tables: Mapping[str, Any]) -> Configuration:
        """Return the configuration of a file's tables, lists expanded; raise ``InputError`` for anything unexpected."""
        for key in tables:
            if key not in TABLES:
                raise _unknown_key("configuration", key, TABLES)
        seed = SEED.check("seed", tables.get("seed", SEED.default))
        search = _search_settings(_table(tables, "search"))
        solver = _solver_settings(_table(tables, "solver", required=False))
        given = tables.get("landscape")
        if isinstance(given, Mapping):
            raise InputError(
                "landscape is one table; write [[landscape]] with two brackets, so that several may follow"
            )
        if not isinstance(given, (list, tuple)) or not given:
            raise InputError(f"landscape is {shown(given)}; give at least one [[landscape]] table with a name")
        combinations: list[dict[str, Any]] = []
        alike: dict[str, list[dict[str, Any]]] = {}  # equal ones are among those of the same text, 1 written as 1.0
        for number, table in enumerate(given, 1):
            where = "[[landscape]]" if len(given) == 1 else f"[[landscape]] number {number}"
            for landscape in _landscapes(table, where, MOST_COMBINATIONS - len(combinations)):
                text = canonical_json(landscape.to_dict())
                entry = json.loads(text)  # tuples become lists, as they will be read
                same = alike.setdefault(canonical_json(json.loads(text, parse_int=float)), [])
                if entry in same:
                    raise InputError(f"{where} gives {_one_line(entry)} twice; leave one out, or its rows count twice")
                _check_search(landscape, search)
                same.append(entry)
                combinations.append(entry)
        if search["method"] in (*ESTIMATED, "ball"):
            search["start_law"] = None  # the default of every landscape, as was checked
        return cls(seed=seed, combinations=tuple(combinations), solver=solver, **search)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Configuration:
        """Undo ``to_dict``; raises ``InputError`` when the dictionary is not one of its own."""
        names = {f.name for f in fields(cls)}
        data = dict.fromkeys(LATER) | dict(data) if isinstance(data, Mapping) else data
        if not isinstance(data, Mapping) or set(data) != names:
            raise InputError("the stored configuration has other keys than this version of simcore writes")
        search = {key: data[key] for key in SEARCH if data.get(key) is not None}
        configuration = cls(
            seed=SEED.check("seed", data["seed"]),
            combinations=tuple(dict(entry) for entry in data["combinations"]),
            solver=_solver_settings(data["solver"]),
            **_search_settings(search),
        )
        for number in range(len(configuration.combinations)):
            configuration.landscape(number)
        return configuration

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as a JSON-safe dictionary; ``from_dict`` undoes it."""
        result = {f.name: getattr(self, f.name) for f in fields(self)}
        return result | {"combinations": [dict(entry) for entry in self.combinations], "solver": dict(self.solver)}

    def to_toml(self) -> str:
        """Return a TOML file of this sweep, a ``[[landscape]]`` table a combination; reading it gives an equal one."""
        lines = [f"seed = {self.seed}"]
        for entry in self.combinations:
            lines += ["", "[[landscape]]", *_toml_lines(entry)]
        search = {key: getattr(self, key) for key in SEARCH}
        for name, table in (("search", search), ("solver", self.solver)):
            lines += ["", f"[{name}]", *_toml_lines(table)]
        return "\n".join(lines) + "\n"

    # ---- what it means -------------------------------------------------------------------------------------------
    def landscape(self, combination: int) -> Landscape:
        """Return the landscape of a combination."""
        made: dict[int, Landscape] = self.__dict__.setdefault("_made", {})
        if combination not in made:
            landscape = _landscape(self.combinations[combination], "the configuration")
            if len(made) >= MOST_KEPT:
                return landscape
            made[combination] = landscape
        return made[combination]

    def solver_settings(self) -> Solver:
        """Return the solver."""
        from simcore.search.solvers import solver_from_dict

        return solver_from_dict(self.solver)

    @property
    def most_draws(self) -> int:
        """Draws per combination beyond which nothing is computed."""
        return self.draws if self.draws is not None else self.max_draws or 0

    @property
    def error_of_draws(self) -> float | None:
        """``target_error`` where it decides how many draws there are, else None."""
        return self.target_error if self.max_draws is not None else None

    @property
    def _not_identity(self) -> tuple[str, ...]:
        """Settings that say how many draws there are, and nothing of any row."""
        return ("draws", "max_draws") if self.method in ESTIMATED else ("draws", "max_draws", "target_error")

    def looks(self) -> Iterator[int]:
        """Return the numbers of draws after which ``target_error`` is looked at, ``most_draws`` last or alone."""
        return looks(self.most_draws, self.error_of_draws)

    @cached_property
    def hash(self) -> str:
        """64 hexadecimal digits that identify every row of the run: all settings but draws, max_draws, target_error."""
        left_out = (*self._not_identity, *(key for key in LATER if getattr(self, key) is None))
        identity = {key: value for key, value in self.to_dict().items() if key not in left_out}
        identity["start_law"] = [
            self.landscape(c).check_start_law(self.start_law) for c in range(len(self.combinations))
        ]
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.hash)

    def extends(self, other: Configuration) -> str | None:
        """Return None where a run of ``other`` may be continued with this one, else what stands against it."""
        if self.hash != other.hash:
            mine, theirs = self.to_dict(), other.to_dict()
            for key in mine:
                if key not in self._not_identity and mine[key] != theirs[key]:
                    return f"{key} is {shown(mine[key])} here and {shown(theirs[key])} there"
            return "the landscapes' default start laws differ"
        if self.most_draws < other.most_draws:
            return f"draws would fall from {other.most_draws} to {self.most_draws}; they may only be raised"
        if other.error_of_draws and self.error_of_draws and self.error_of_draws > other.error_of_draws:
            return (
                f"target_error would rise from {other.target_error:g} to {self.target_error:g}; it may only be lowered"
            )
        if other.error_of_draws is None and self.error_of_draws and self.most_draws == other.most_draws:
            return f"all {other.most_draws} draws were asked for before; target_error could only ask for fewer"
        return None


def read_configuration(path: str | Path) -> Configuration:
    """Read and validate a configuration file.

    Raises ``InputError`` (one line: key, value, choices) for a file that is missing, unreadable, not TOML or not a
    sweep.
    """
    return configuration_of(path)[0]


def configuration_of(config: str | Path | Configuration | Mapping[str, Any]) -> tuple[Configuration, str]:
    """Return the configuration of a TOML file, of its tables or of itself, and the text to keep beside the run.

    A file is read once: a pipe has nothing to say a second time. The text of what was no file is written by
    ``Configuration.to_toml``. Raises ``InputError`` as ``read_configuration`` does.
    """
    if isinstance(config, (Configuration, Mapping)):
        made = config if isinstance(config, Configuration) else Configuration.from_mapping(config)
        return made, made.to_toml()
    try:
        path = Path(config)
    except TypeError:
        raise InputError(f"the configuration is {shown(config)}; give the path of a TOML file, or its tables") from None
    text = _text(path)
    return Configuration.from_mapping(_tables(path, text)), text


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text. Raises ``ValueError`` for NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


# ---- reading -----------------------------------------------------------------------------------------------------
def _text(path: Path) -> str:
    """Return a file's text; ``InputError`` where it can't be read, is too long or none, or nobody writes to a FIFO."""
    try:
        # A FIFO without a writer would block in open; read at once, it has nothing to say.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if hasattr(os, "set_blocking"):
            os.set_blocking(handle, True)
        with os.fdopen(handle, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
            silent = not data and stat.S_ISFIFO(os.fstat(handle).st_mode)
    except OSError as error:
        raise InputError(f"configuration {path}: {error.strerror or error}; give the path of a TOML file") from None
    if len(data) > MOST_BYTES:
        raise InputError(f"configuration {path} is larger than {MOST_BYTES} bytes; give a sweep's TOML file")
    if silent:
        raise InputError(f"configuration {path} is a pipe that nobody writes to; give a TOML file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"configuration {path} is not UTF-8 text (byte {error.start}); give a TOML file") from None


def _tables(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise InputError(f"configuration {path} is not TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"configuration {path} nests too deeply; give a sweep's TOML file") from None


def _table(tables: Mapping[str, Any], name: str, *, required: bool = True) -> Mapping[str, Any]:
    value = tables.get(name, None if required else {})
    if value is None:
        raise InputError(
            f"the configuration has no [{name}] table; give one, see simcore landscapes NAME for an example"
        )
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is {shown(value)}; give a table, [{name}]")
    return value


def _unknown_key(where: str, key: object, choices: Any) -> InputError:
    return unknown_name(f"key of {where}", shown(key)[1:-1] if isinstance(key, str) else shown(key), choices)


def _search_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        if key not in SEARCH:
            raise _unknown_key("[search]", key, SEARCH)
    if "method" not in table:
        raise InputError(f"[search] has no method; give {SEARCH['method'].wants()}")
    settings = {key: SEARCH[key].check(f"search.{key}", value) for key, value in table.items()}
    method = settings["method"]
    if method != "enumerate" and settings.get("prove") == "auto":
        del settings["prove"]  # what is so anyway
    for key in settings:
        if method not in SEARCH[key].methods:
            raise InputError(f"search.{key} is given, but method {method!r} does not use it; leave it out")
    if method in ESTIMATED:
        return _estimate_settings(settings)
    if "draws" in settings and ("target_error" in settings or "max_draws" in settings):
        raise InputError("[search] gives draws and also target_error or max_draws; give draws alone, or the other two")
    if "draws" not in settings and ("target_error" not in settings or "max_draws" not in settings):
        raise InputError("[search] says not how many draws; give draws, or both target_error and max_draws")
    settings.setdefault("starts", DEFAULT_STARTS[method])
    if method == "enumerate":
        settings.setdefault("prove", "auto")
    if settings["starts"] == 0 and method != "enumerate":
        raise InputError(f"search.starts is 0; give {Key('whole', 1, WORD).wants()}")
    most = settings.get("max_starts")
    if most is not None and most < settings["starts"]:
        raise InputError(
            f"search.max_starts is {most}, below search.starts = {settings['starts']}; give at least as many"
        )
    return settings


def _estimate_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Check the settings of a method of ``estimate_counts``, which has an error of its own and no starts."""
    method = settings["method"]
    if "draws" not in settings or "max_draws" in settings:
        raise InputError(f"[search] of method {method!r} needs draws, and no max_draws; target_error is each draw's")
    if "target_error" in settings and "moves" in settings:
        raise InputError("[search] gives target_error and moves; give the one that is to end each draw's count")
    given = settings.get("starts") not in (None, *DEFAULT_STARTS.values())
    for key, asked in (("starts", given), *((key, settings.get(key)) for key in ("positions", "spectrum"))):
        if asked:
            raise InputError(f"search.{key} is given, but method {method!r} does not use it; leave it out")
    settings["starts"] = DEFAULT_STARTS[method]
    return settings


def _solver_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    from simcore.search.solvers import solver_from_dict

    for key, value in table.items():
        if isinstance(value, (list, dict)):
            raise InputError(f"solver.{key} is {shown(value)}; give a single number or name")
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"solver.{key} is nan; give a number")
        if isinstance(value, int) and abs(value) > WORD:
            raise InputError(f"solver.{key} is {shown(value)}; give a number below 2^32")
    if not isinstance(table.get("method", "auto"), str):
        raise InputError(f'solver.method is {shown(table["method"])}; give a solver\'s name in quotes, or "auto"')
    solver = _guarded("[solver]", solver_from_dict, dict(table))
    # Lengths and tolerances that are written as whole numbers mean the same as with a point.
    real = {f.name for f in fields(solver) if "float" in str(f.type)}
    settings = solver.to_dict() | {"method": table.get("method", "auto")}
    return {key: float(value) if key in real and isinstance(value, int) else value for key, value in settings.items()}


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    """Return a table's lines; TOML has no word for None, which every key means that is left out."""
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


# ---- landscapes --------------------------------------------------------------------------------------------------
def _landscapes(table: Any, where: str, room: int) -> Iterator[Landscape]:
    """Yield the landscapes of one table, in the order of the product: the last parameter of the file varies fastest."""
    from simcore.landscapes import registry

    if not isinstance(table, Mapping):
        raise InputError(f"{where} is {shown(table)}; give a table with a name")
    name = table.get("name")
    if not isinstance(name, str):
        given = f"name {shown(name)}" if "name" in table else "no name"
        raise InputError(f"{where} has {given}; give one of {', '.join(registry.names())}")
    if name not in registry.names():
        raise unknown_name("landscape", name[:60], registry.names())
    known = registry.parameters(name)
    depths = _list_depths(known.values(), registry.get_class(name).list_depths)
    values: dict[str, list[Any]] = {}
    for key, value in table.items():
        if key == "name":
            continue
        if key not in depths:
            raise _unknown_key(f"{where} {name}", key, ["name", *depths])
        several = isinstance(value, (list, tuple)) and _depth(value) > depths[key]
        values[key] = list(value) if several else [value]
        if not values[key]:
            raise InputError(f"{where}: {key} is an empty list; give at least one value")
        for one in values[key]:
            _check_plain(f"{where}: {key}", one, booleans="bool" in known[key].annotation)
    count = math.prod(len(choices) for choices in values.values())
    if count > room:
        raise InputError(
            f"the sweep has more than {MOST_COMBINATIONS} combinations ({where} alone {count}); shorten its lists"
        )
    for choice in product(*values.values()):
        yield _landscape({"name": name, **dict(zip(values, choice, strict=True))}, where)


def _landscape(entry: Mapping[str, Any], where: str) -> Landscape:
    from simcore.landscapes import registry

    return _guarded(where, registry.from_dict, dict(entry))


def _guarded(where: str, make: Any, table: dict[str, Any]) -> Any:
    """Call ``make``; whatever a constructor trips over is bad input, never a traceback."""
    try:
        return make(table)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(where) else f"{where}: {text}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError, RecursionError) as error:
        raise InputError(
            f"{where} {_one_line(table)}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None


def _list_depths(parameters: Iterable[Parameter], stated: Mapping[str, int]) -> dict[str, int]:
    """Return, for each parameter, how deeply its own values are nested: 0 a number or name, 1 a list, 2 a matrix."""
    depths = {}
    for parameter in parameters:
        annotation = parameter.annotation
        depth = max(annotation.count("tuple["), annotation.count("list["), annotation.count("Sequence["))
        if any(word in annotation for word in ("Array", "ndarray")):
            depth = max(depth, 2)
        depths[parameter.name] = stated.get(parameter.name, depth)
    return depths


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, (list, tuple)):
        depth += 1
        if not value:
            break
        value = value[0]
    return depth


def _check_plain(where: str, value: Any, *, booleans: bool) -> None:
    """Refuse what no parameter can be: NaN, infinities, dates, numbers beyond 64 bits, a boolean for a number."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, (list, tuple)):
            stack.extend(one)
        elif isinstance(one, Mapping):
            stack.extend(one.values())
        elif isinstance(one, bool) and not booleans:
            raise InputError(f"{where} is {shown(one)}; give a number or a name")
        elif isinstance(one, float) and not math.isfinite(one):
            raise InputError(f"{where} is {shown(one)}; give a finite number")
        elif isinstance(one, int) and abs(one) >= 1 << 63:
            raise InputError(f"{where} is {shown(one)}; give a number below 2^63")
        elif not isinstance(one, (str, int, float, bool)):
            raise InputError(f"{where} is {shown(one)}; give a number, a name or a list of them")


def _check_search(landscape: Landscape, search: Mapping[str, Any]) -> None:
    """Refuse settings that this landscape can't be searched with."""
    law = search.get("start_law")
    _guarded("search.start_law", landscape.check_start_law, law)  # type: ignore[arg-type]
    if search["method"] in (*ESTIMATED, "ball") and law not in (None, landscape.check_start_law(None)):
        raise InputError(f"search.start_law is {law!r}, but method {search['method']!r} does not use it; leave it out")
    if landscape.draws is not None and (search.get("draws") or search["max_draws"]) > landscape.draws:
        raise InputError(
            f"search.draws is {search.get('draws') or search['max_draws']}, but {_one_line(landscape.to_dict())} has "
            f"{landscape.draws} different draw(s) only; give draws = {landscape.draws}"
        )
    landscape.check_drawable()
    if search["method"] == "ball" and not landscape.stationary:
        other = "newton" if landscape.euler_characteristic is None else "enumerate"
        raise InputError(
            f"search.method is 'ball', but {landscape.name} is not a stationary random field in R^n; "
            f'give method = "{other}", or use gaussian_field'
        )
    if search["method"] == "walk":
        from simcore.counts.estimate import check_walkable

        check_walkable(landscape, None)
    unbounded = not landscape.domain.compact and landscape.euler_characteristic is None and not landscape.coercive
    if search["method"] == "enumerate" and unbounded:
        raise InputError(
            f"search.method is 'enumerate', but lists of {landscape.name} need {landscape.to_be_enumerated}; "
            f'give method = "newton"{" or " + chr(34) + "ball" + chr(34) if landscape.stationary else ""}'
        )
    from simcore.search.proved import check_asked

    check_asked(landscape, search)


def _one_line(entry: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key}={shown(value)}" for key, value in entry.items() if key != "name")
    return f"{entry.get('name', '')}({text})" if "name" in entry else f"({text})"
