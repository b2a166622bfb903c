"""Arcs of critical points, followed in a linear term that is switched on and off again: the moves of the arc walk."""
