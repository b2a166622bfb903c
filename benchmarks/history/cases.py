"""History of the kernels' speed, commit by commit: ``cd benchmarks && asv run HEAD~5..HEAD && asv publish``.

Each figure is one measurement of ``simcore bench`` (itself a median of alternating runs), so asv repeats nothing.
"""

from simcore.benchmarks import measure
from simcore.benchmarks.settings import Settings


class NewtonIteration:
    """Microseconds a start and iteration on gaussian_field with 1,024 waves, one thread."""

    params = (2, 5, 10, 20, 50, 100)
    param_names = ("n",)
    unit = "us"
    timeout = 600

    def track_us_per_start_iteration(self, n):
        return measure("newton", Settings(n=n, repeats=3))["us_per_start_iteration"]


class SpinIteration:
    """Microseconds a start and iteration on spherical_spin, p = 3, one thread."""

    params = (10, 30, 60)
    param_names = ("n",)
    unit = "us"
    timeout = 600

    def track_us_per_start_iteration(self, n):
        return measure("newton", Settings(landscape="spherical_spin", n=n, repeats=3))["us_per_start_iteration"]


class Enumeration:
    """Milliseconds for all critical points of a 3-spin draw, one thread."""

    params = (6, 8, 10)
    param_names = ("n",)
    unit = "ms"
    timeout = 600

    def track_ms_per_draw(self, n):
        return measure("enumerate", Settings(n=n, repeats=3))["ms_per_draw"]


class Formulas:
    """Nanoseconds a number."""

    params = ("normals", "sincos")
    param_names = ("case",)
    unit = "ns"

    def track_ns_each(self, case):
        return measure(case, Settings(repeats=3))["ns_each"]


class Laws:
    """Seconds for an exact law, from a new process to its JSON."""

    params = (20, 50)
    param_names = ("n",)
    unit = "s"
    timeout = 600

    def track_seconds(self, n):
        return measure("theory", Settings(n=n, repeats=3))["seconds"]
