"""What rooms ask of one another is declared: in ``Landscape``, ``Draw``, ``Solver``, ``Backend``, not by strings."""

import ast
from pathlib import Path

import pytest

from simcore import backends
from simcore.backends import Backend

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for top in ("simcore", "analysis") for path in (ROOT / top).rglob("*.py"))
FOREIGN = {
    "__module__", "__qualname__", "__name__", "__self__", "__file__", "__package__",
    "_cache", "filename", "dtype", "sched_getaffinity", "sched_setaffinity",
    "getloadavg", "py_func", "item", "columns", "strerror", "O_NONBLOCK", "set_blocking",
    "register_at_fork", "__iter__", "__array__", "__cuda_array_interface__",
}  # fmt: skip
"""Names of objects that are not ours: what a user, Python or a library hands over may lack them."""


def looked_up_by_string(tree: ast.Module):
    """Yield (line, name) of every getattr and hasattr with a constant name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield node.lineno, name.value


def test_no_contract_is_spelt_as_a_string():
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in SOURCES
        for line, name in looked_up_by_string(ast.parse(path.read_text(encoding="utf-8")))
        if name not in FOREIGN
    ]
    assert found == []


def test_the_search_for_strings_finds_them():
    tree = ast.parse("def f(d):\n    return getattr(d, 'scale', 1.0) if hasattr(d, name) else getattr(d, 'dtype')\n")
    assert sorted(looked_up_by_string(tree)) == [(2, "dtype"), (2, "scale")]


@pytest.mark.parametrize("name", backends.NAMES)
def test_every_backend_offers_everything(name):
    module = backends.get(name)
    assert isinstance(module, Backend)
    assert name == module.NAME and module.BLOCK >= 1
    for member in (
        "require",
        "status",
        "evaluate",
        "newton",
        "regularised_newton",
        "levenberg_marquardt",
        "gaps",
        "flow",
    ):
        function = getattr(module, member)
        assert function.__doc__ and len(function.__doc__) > 20
