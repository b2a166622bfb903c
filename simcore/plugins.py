"""Modules of the user's own that register families: named on the command line, never in a configuration file.

What is named is imported once a process. Fresh processes that simcore starts (workers, the clock of first calls) find
the names in the environment, so that they know the same families.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

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
            _loaded[module], _roots[module] = _imported(module)
    if _loaded:
        os.environ[VARIABLE] = json.dumps(_roots)


def load_from_environment() -> None:
    """Import what the process that started this one has imported."""
    for name, root in json.loads(os.environ.get(VARIABLE, "{}")).items():
        if name not in _loaded:
            if root not in sys.path:
                sys.path.append(root)
            load([name])


def sources() -> dict[str, str | None]:
    """Return the SHA-256 of the file of each module loaded, for provenance; None where it has no file."""
    return dict(_loaded)


def _imported(module: str) -> tuple[str | None, str]:
    try:
        if module.endswith(".py"):
            name = Path(module).stem
            spec = importlib.util.spec_from_file_location(name, module)
            assert spec is not None and spec.loader is not None
            found = importlib.util.module_from_spec(spec)
            sys.modules[name] = found
            spec.loader.exec_module(found)
        else:
            if os.getcwd() not in sys.path:
                sys.path.append(os.getcwd())  # where a user keeps a module of their own
            found = importlib.import_module(module)
    except InputError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())
        raise InputError(
            f"plugin {module} can't be imported: {type(error).__name__}: {words}; give a module's name or a .py file"
        ) from None
    if found.__file__ is None:
        return None, os.getcwd()
    path = Path(found.__file__)
    above = (
        path.parents[module.count(".") + (path.name == "__init__.py")] if not module.endswith(".py") else path.parent
    )
    return hashlib.sha256(path.read_bytes()).hexdigest(), str(above)
