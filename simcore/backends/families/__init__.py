"""The families that simcore brings, a module each; importing this one makes them known.

``of(problem)`` is how every other room asks what is known of a function; see ``simcore.backends.family``.
"""

from simcore.backends.families import custom, linear, network, sigmoid, spin, waves  # noqa: F401  (each adds itself)
from simcore.backends.family import Family as Family
from simcore.backends.family import Without as Without
from simcore.backends.family import add as add
from simcore.backends.family import known as known
from simcore.backends.family import of as of
