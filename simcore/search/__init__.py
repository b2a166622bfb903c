"""Searches: starts, complete enumerations and balls, each a thin layer over one backend call."""
