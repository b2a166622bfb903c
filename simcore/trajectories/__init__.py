"""Paths on a landscape: descent, flows and Newton iterations, recorded step by step."""
