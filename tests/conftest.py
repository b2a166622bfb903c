"""What every test may ask for: a ``backend`` and a ``family``.

A test that takes one or both runs over all of them. ``backend`` is the name of a backend: ``reference`` and ``cpu``
here; ``cuda``, simulated, in the process that ``tests/backends/test_cuda_simulator.py`` starts, since Numba's simulator
is chosen at import. ``family`` is a small landscape of each name in the registry (of those that a simulated device
searches within seconds, there).
"""

from __future__ import annotations

import pytest
import warming
from instances import BACKENDS, instances


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Before tests are handed out to several processes, share out what they would all compile."""
    if hasattr(session.config, "workerinput") and len(session.items) >= warming.WORTH_IT:
        warming.warm(session.config._tmp_path_factory.getbasetemp().parent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``statistical`` what states a false-alarm rate in its docstring, and so may fail by chance."""
    for item in items:
        text = getattr(getattr(item, "function", None), "__doc__", None) or ""
        if "false alarm" in text.replace("-", " "):
            item.add_marker("statistical")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "family" in metafunc.fixturenames:
        tables = [{"name": name, **parameters} for name, parameters in instances().items()]
        metafunc.parametrize("family", tables, ids=[table["name"] for table in tables], indirect=True)


@pytest.fixture
def family(request: pytest.FixtureRequest):
    """A small landscape of a family of the registry."""
    from simcore.landscapes import registry

    return registry.from_dict(request.param)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend that can compute in this process."""
    return request.param
