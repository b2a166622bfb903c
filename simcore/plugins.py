"""Modules of the user's own that register families: named on the command line, never in a configuration file.

What is named is imported once a process. Fresh processes that simcore starts (workers, the clock of first calls) find
the names in the environment, those of Dask in their task, so that they know the same families.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from simcore.errors import InputError

VARIABLE = "SIMCORE_PLUGINS"

_loaded: dict[str, str | None] = {}
_roots: dict[str, str] = {}  # the directory that a module's name is looked up in


def load(modules: Iterable[str]) -> None:
    """Import modules, each a dotted name or the path of a .py file, here and in processes that are started from now on.

    Raises ``InputError`` where one is not there or can't be imported.
    """
    for module in modules:
        if module.endswith(".py"):
            module = str(Path(module).resolve())
        if module not in _loaded:
            found = _imported(module)
            _loaded[module], _roots[module] = digest(found), _root(found, module)
    if _loaded:
        os.environ[VARIABLE] = json.dumps(_roots)


def load_from_environment() -> None:
    """Import what the process that started this one has imported."""
    adopt(json.loads(os.environ.get(VARIABLE, "{}")))


def adopt(roots: Mapping[str, str]) -> None:
    """Import modules that another process has imported, as its ``roots`` tells."""
    for name, root in roots.items():
        if name not in _loaded:
            if root not in sys.path:
                sys.path.append(root)
            load([name])


def roots() -> dict[str, str]:
    """Return the modules loaded, each with the directory that it was found in: what ``adopt`` takes."""
    return dict(_roots)


def sources() -> dict[str, str]:
    """Return the SHA-256 of the source of each module loaded, by its name or file name."""
    return {Path(name).name if name.endswith(".py") else name: found for name, found in _loaded.items() if found}


def digest(module: ModuleType) -> str | None:
    """Return the SHA-256 of a module's file, or of all .py files of the package that it is a part of; None without."""
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    top = sys.modules.get((getattr(module, "__package__", None) or "").partition(".")[0])
    home = getattr(top, "__file__", None)
    if home is None or Path(home).name != "__init__.py":
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    total, folder = hashlib.sha256(), Path(home).parent
    for path in sorted(folder.rglob("*.py")):
        total.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return total.hexdigest()


def _root(found: ModuleType, module: str) -> str:
    if found.__file__ is None:
        return os.getcwd()
    path = Path(found.__file__)
    return str(path.parent if module.endswith(".py") else path.parents[module.count(".") + (path.stem == "__init__")])


def _imported(module: str) -> ModuleType:
    try:
        if not module.endswith(".py"):
            if os.getcwd() not in sys.path:
                sys.path.append(os.getcwd())  # where a user keeps a module of their own
            return importlib.import_module(module)
        name = Path(module).stem
        known = sys.modules.get(name)
        if known is not None:
            if Path(getattr(known, "__file__", None) or "").resolve() == Path(module):
                return known
            raise InputError(f"plugin {module} has the name of another module, {name}; rename the file")
        spec = importlib.util.spec_from_file_location(name, module)
        assert spec is not None and spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules[name] = found
        try:
            spec.loader.exec_module(found)
        except BaseException:
            del sys.modules[name]
            raise
        return found
    except InputError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())
        raise InputError(
            f"plugin {module} can't be imported: {type(error).__name__}: {words}; give a module's name or a .py file"
        ) from None
