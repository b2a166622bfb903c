"""The stand-in for a family whose module is not loaded: what reading asks is there, functions are not."""

import json

import numpy as np
import pytest

import simcore
from simcore.errors import InputError
from simcore.landscapes.stored import StoredLandscape, facts

LAWS = [
    simcore.TorusField(3),
    simcore.SphericalSpin(4),
    simcore.ConfinedField(2, 0.5),
    simcore.CustomLandscape(lambda x: x @ x, lambda x: 2 * x, lambda x: 2 * np.eye(2), simcore.Box([0, 1], [2, 3]), 2),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_it_answers_what_the_family_would(law):
    table = {"name": "mine", "n": law.n, "strength": 2.0}
    stored = StoredLandscape(table, json.loads(json.dumps(facts(law))))
    for name in ("n", "dimension", "euler_characteristic", "coercive", "draws", "start_laws", "law"):
        assert getattr(stored, name) == getattr(law, name), name
    assert stored.domain.to_dict() == law.domain.to_dict()
    assert stored.to_dict() == table and stored.parameters == ("n", "strength")


def test_nothing_can_be_drawn_from_it():
    stored = StoredLandscape({"name": "mine", "n": 3}, facts(simcore.TorusField(3)))
    for ask in (
        lambda: stored.scales,
        lambda: stored.draw(seed=0),
        lambda: stored.starts(seed=0, draw=0, first=0, count=1),
    ):
        with pytest.raises(InputError, match=r"the module that registers mine is not loaded.*--plugin MODULE"):
            ask()
