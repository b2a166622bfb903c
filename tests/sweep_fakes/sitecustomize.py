"""Puts ``fake_shards`` in the place of ``simcore.search.shards`` in every Python process that finds this folder first.

Real processes, real files, real signals; only the search is replaced, so that faults can be planted and shards are
quick.
"""

import importlib.util
import pathlib
import sys


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "simcore.search.shards":
            return importlib.util.spec_from_file_location(name, pathlib.Path(__file__).with_name("fake_shards.py"))
        return None


sys.meta_path.insert(0, _Finder)
