"""Counts beyond enumeration: the critical points of one function by index, from a walk on them, with error bars."""
