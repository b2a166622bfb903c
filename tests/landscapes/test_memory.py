"""What would not fit is refused with both sizes, before anything is allocated; what is small is never asked about."""

import pytest

import simcore
from simcore.errors import InputError
from simcore.landscapes import memory

FIELD = simcore.GaussianField(1000, features=4000)


def test_sizes_follow_the_law():
    assert memory.working_bytes(FIELD, 2) == 24.0 * FIELD.coefficients + 2 * FIELD.hessians_held * 8.0 * 1000**2
    assert memory.evaluation_bytes(FIELD, 3) == 16.0 * FIELD.numbers + 48.0 * 1000**2


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 300e6)
    memory.require_memory(simcore.TorusField(3))
    memory.refuse_evaluation(FIELD, 1)
    with pytest.raises(InputError, match=r"Hessians at 100 points, 300 MB are free; give fewer points"):
        memory.refuse_evaluation(FIELD, 100)
    with pytest.raises(InputError, match="Hessians at 1 point,"):
        memory.refuse_evaluation(FIELD, 1, MemoryError())
    with pytest.raises(InputError, match=r"the table of 10000000 starts needs about .* 300 MB are free"):
        memory.require_rows(FIELD, 10**7, positions=False, spectrum=False)
    memory.require_rows(FIELD, 10**4, positions=False, spectrum=False)
    memory.require_rows(FIELD, 2 * 10**4, positions=False, spectrum=False)
    with pytest.raises(InputError, match="the table of 20000 starts"):
        memory.require_rows(FIELD, 2 * 10**4, positions=True, spectrum=True)


def test_small_needs_are_met_whatever_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 0.0)
    memory.require_memory(simcore.TorusField(3))
    memory.require_rows(simcore.TorusField(3), 10**6, positions=False, spectrum=False)
    with pytest.raises(InputError, match="fewer variables, features or samples"):
        memory.require_memory(simcore.GaussianField(5000, features=4000))
