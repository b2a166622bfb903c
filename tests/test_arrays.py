"""One gate for a user's numbers: nothing is cast in silence, wherever an array comes in."""

import datetime
from fractions import Fraction

import numpy as np
import pytest

import simcore
from simcore.arrays import real_array
from simcore.errors import InputError

REFUSED = {
    "complex": ([1 + 2j, 1.0], "complex numbers"),
    "complex without imaginary part": (np.array([1 + 0j, 2]), "complex numbers"),
    "text": (["1", "2"], "text"),
    "bytes": ([b"1", b"2"], "bytes"),
    "dates": (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), "dates"),
    "durations": (np.array([1, 2], "m8[s]"), "time differences"),
    "date objects": ([datetime.datetime(2020, 1, 1)] * 2, "datetime, no real number"),
    "masked": (np.ma.array([1.0, 2.0], mask=[False, True]), "masked entries"),
    "a masked entry": ([1.0, np.ma.masked], "masked entries"),
    "None": ([None, 1.0], "None, no real number"),
    "ragged": ([[1.0, 2.0], [3.0]], "unequal lengths"),
    "records": (np.zeros(2, [("a", float)]), "records"),
    "text among objects": (np.array([1.0, "2"], dtype=object), "str, no real number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_real_number_is_refused(name):
    value, message = REFUSED[name]
    with pytest.raises(InputError, match=f"x .*{message}.*; give two numbers") as caught:
        real_array("x", value, "give two numbers")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", [[1, 2], (1.0, 2.0), np.array([1, 2], np.float32), np.array([1, 2], np.uint8), [Fraction(1), Fraction(2)],
              np.ma.array([1.0, 2.0]), range(1, 3), [np.int64(1), np.float16(2)]], ids=str)  # fmt: skip
def test_real_numbers_of_any_kind_become_float64(value):
    array = real_array("x", value)
    assert type(array) is np.ndarray
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


FIELD = simcore.TorusField(2).draw(seed=1)

GATES = {
    "value": lambda x: FIELD.value(x),
    "gradient": lambda x: FIELD.gradient(x),
    "hessian": lambda x: FIELD.hessian(x),
    "network value": lambda x: simcore.LinearNetwork((1, 1, 1), [1.0]).draw(seed=0).value(x),
    "couplings": lambda x: simcore.SphericalSpin.from_couplings([x, x]),
    "starts of a trajectory": lambda x: simcore.trajectory(
        simcore.TorusField(2), method="gradient_descent", step_size=0.1, steps=1, start=x, seed=1
    ),
    "covariance": lambda x: simcore.LinearNetwork((2, 2), x),
    "inputs of a network": lambda x: simcore.MLP((2, 2, 1), "tanh", "mse", ([x, x], [[0.0], [1.0]])),
    "targets of a network": lambda x: simcore.MLP((1, 2, 2), "tanh", "mse", ([[0.0], [1.0]], [x, x])),
    "inputs of a unit": lambda x: simcore.SigmoidUnit([x, x], [0.0, 1.0]),
    "targets of a unit": lambda x: simcore.SigmoidUnit([[0.0], [1.0]], x),
    "sides of a box": lambda x: simcore.Box([0, 0], x),
}


@pytest.mark.parametrize("where", GATES)
@pytest.mark.parametrize("name", ["complex", "text", "dates", "masked"])
def test_every_door_has_the_gate(where, name):
    with pytest.raises(InputError, match=REFUSED[name][1]):
        GATES[where](REFUSED[name][0])


@pytest.mark.parametrize("name", ["complex", "text"])
def test_a_file_of_data_has_the_gate_too(name, tmp_path):
    np.savez(tmp_path / "set.npz", inputs=np.array([REFUSED[name][0]] * 2), targets=np.zeros(2))
    network = {"kind": "npz", "path": str(tmp_path / "set.npz")}
    with pytest.raises(InputError, match=REFUSED[name][1]):
        simcore.MLP((2, 2, 1), "tanh", "mse", network).draw(seed=0).value(np.zeros(9))
