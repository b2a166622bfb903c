"""Proofs that a list of critical points is complete: homotopies that fill Bezout's bound, exclusion by boxes."""
