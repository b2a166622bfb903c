"""Judgement: intervals that hold their level with few draws, the audit of counts against a law, the stopping rule.

The statistical unit is the draw: N draws are independent, points within a draw are not. Everything here takes one
number (or one row) per draw and knows neither files nor landscapes.
"""
