"""The name under which rooms above the backends know ``simcore.blas``."""

from simcore.blas import libraries_changed as libraries_changed
from simcore.blas import single_threaded_blas as single_threaded_blas
