"""Scalar formulas, written once and compiled for every target: random numbers, elementary functions, step and
outcome rules.
"""
