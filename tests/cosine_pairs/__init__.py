"""The worked example of ``docs/adding.md``: sums of cosines of two coordinates, which simcore does not bring."""

import simcore
from cosine_pairs import family as family

simcore.register("cosine_pairs", "cosine_pairs.law:CosinePairs")
