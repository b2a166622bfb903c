"""Training data of a network: where they come from, as a small JSON-safe description, and the arrays themselves.

A description is a name (``"digits"``) or a table (``{"kind": "digits", "pca": 10, "samples": 500}``), the same in
Python and in a configuration file:

- ``digits``: scikit-learn's 8x8 digits / 16, centred, one-hot targets of ten classes. ``bins`` = 2 or 4 averages the
  image down to bins x bins, ``pca`` = k keeps k principal components, divided by their standard deviations if
  ``whiten``; ``samples`` = N takes the first N of a fixed shuffle.
- ``gaussian``: inputs N(0, diag(spectrum)); targets are the inputs (``"inputs"``), independent standard normals
  (``"normal"``) or random one-hot classes (``"classes"``), ``outputs`` of them. Drawn afresh in every draw.
- ``teacher``: inputs as ``gaussian``; targets from a fully connected network of the given widths and activation with
  weights N(0, scale^2 / fan-in) and biases N(0, scale^2), plus ``noise`` times a standard normal. Drawn afresh too.
- ``arrays``: inputs (N, d) and targets (N, c), held as nested lists.
- ``npz``: a NumPy archive with two arrays; ``idx``: two files in MNIST's format (may be gzipped), bytes / 255. For
  both, one-dimensional targets are class labels, and the reductions of ``digits`` apply. Their content hash enters the
  description and is checked when they are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simcore.arrays import real_array
from simcore.backends.network_problems import ACTIVATIONS
from simcore.backends.problems import Array
from simcore.errors import InputError, unknown_name
from simcore.formulas.random import normals, uniforms
from simcore.networks.data_files import file_bytes, read_idx, read_npz

_REQUIRED = object()
_REDUCTION: dict[str, Any] = {"samples": None, "bins": None, "pca": None, "whiten": True}
KINDS: dict[str, dict[str, Any]] = {
    "digits": dict(_REDUCTION),
    "gaussian": {"spectrum": _REQUIRED, "samples": _REQUIRED, "targets": "inputs", "outputs": None},
    "teacher": {
        "widths": _REQUIRED,
        "samples": _REQUIRED,
        "activation": "tanh",
        "spectrum": None,
        "scale": 1.0,
        "noise": 0.0,
    },
    "arrays": {"inputs": _REQUIRED, "targets": _REQUIRED},
    "npz": {"path": _REQUIRED, "inputs": "inputs", "targets": "targets", "sha256": None, **_REDUCTION},
    "idx": {"images": _REQUIRED, "labels": _REQUIRED, "sha256": None, **_REDUCTION},
}
"""The options of each kind with their defaults."""


@dataclass(frozen=True)
class Data:
    """A source of training data. Equal descriptions are equal data.

    kind : one of ``KINDS``; description : canonical JSON of the options, defaults left out.
    """

    kind: str
    description: str
    arrays: tuple[Array, Array] | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        if self.kind != "arrays":
            return f"Data({self.describe()!r})"
        samples, inputs, outputs = self.shape
        return f"Data('arrays', samples={samples}, inputs={inputs}, outputs={outputs})"

    @property
    def options(self) -> dict[str, Any]:
        """All options, defaults filled in."""
        return {**KINDS[self.kind], **json.loads(self.description)}

    @property
    def random(self) -> bool:
        """Whether every draw has data of its own."""
        return self.kind in ("gaussian", "teacher")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of samples N, inputs d and outputs c."""
        options = self.options
        if self.kind == "gaussian":
            inputs = len(options["spectrum"])
            return options["samples"], inputs, inputs if options["targets"] == "inputs" else options["outputs"]
        if self.kind == "teacher":
            return options["samples"], options["widths"][0], options["widths"][-1]
        x, y = self.load()
        return len(x), x.shape[1], y.shape[1]

    def load(self, *, seed: int = 0, draw: int = 0, stream: int = 0) -> tuple[Array, Array]:
        """Return inputs (N, d) and targets (N, c), float64; seed, draw and stream count for random kinds alone."""
        if self.kind == "gaussian":
            return _gaussian(self.options, seed, stream, draw)
        if self.kind == "teacher":
            return _teacher(self.options, seed, stream, draw)
        return self.arrays if self.arrays is not None else _fixed(self.kind, self.description)

    def describe(self) -> str | dict[str, Any]:
        """Return the JSON-safe description; ``source`` undoes it."""
        options = json.loads(self.description)
        return {"kind": self.kind, **options} if options else self.kind

    def digest(self) -> str | None:
        """Return the SHA-256 of the arrays, for provenance; None where every draw has its own."""
        return None if self.random else _digest(*self.load())


def source(data: str | Mapping[str, Any] | Data | tuple[ArrayLike, ArrayLike]) -> Data:
    """Return the ``Data`` of a description (a kind's name, a table) or of a pair (inputs, targets) of arrays.

    Raises ``InputError`` for an unknown kind or option, a wrong value, a file that can't be read or has changed.
    """
    if isinstance(data, Data):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        inputs, targets = _numbers(*data)
        data = {"kind": "arrays", "inputs": inputs.tolist(), "targets": targets.tolist()}
    if isinstance(data, str):
        data = {"kind": data}
    if not isinstance(data, Mapping) or "kind" not in data:
        raise InputError(
            f"data is {type(data).__name__}; give a kind ({', '.join(KINDS)}), a table with kind, or (inputs, targets)"
        )
    options = {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in data.items() if k != "kind"}
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown_name("kind of data", kind, KINDS)
    known = KINDS[kind]
    for key in options:
        if key not in known:
            raise unknown_name(f"option of data {kind!r}", key, known)
    for key, default in known.items():
        if default is _REQUIRED and key not in options:
            raise InputError(
                f"data {kind!r} has no {key}; it needs {', '.join(k for k in known if known[k] is _REQUIRED)}"
            )
    _CHECKS[kind]({**known, **options})
    if kind == "arrays":
        arrays = _checked_pair(options["inputs"], options["targets"])
        options = {"inputs": arrays[0].tolist(), "targets": arrays[1].tolist()}
        return Data(kind, _canonical(options), arrays)
    if kind in ("npz", "idx"):
        options["sha256"] = _file_digest(kind, {**known, **options})
    return Data(kind, _canonical({k: v for k, v in options.items() if v != known[k]}))


def labelled(data: Data, classes: int | None) -> Data:
    """Return data whose one column of targets are labels 0 .. C-1 with one column a class; others as they are.

    ``classes`` is C, where a network says how many outputs it has; None takes the largest label plus one. Only arrays
    hold labels this way: files and digits turn theirs into columns when they are read.
    """
    if data.kind != "arrays" or data.shape[2] != 1:
        return data
    inputs, targets = data.load()
    labels = targets[:, 0]
    count = int(labels.max()) + 1 if classes is None else classes
    if count < 2 or (labels != np.floor(labels)).any() or labels.min() < 0 or labels.max() >= count:
        return data
    return source({"kind": "arrays", "inputs": inputs.tolist(), "targets": np.eye(count)[labels.astype(int)].tolist()})


def _canonical(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True, separators=(",", ":"))


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


# ---- checks ------------------------------------------------------------------------------------------------------
def _whole(options: Mapping[str, Any], key: str, low: int, optional: bool = False) -> None:
    value = options[key]
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"data option {key} is {value!r}; give a whole number of at least {low}")


def _check_reduction(options: Mapping[str, Any]) -> None:
    _whole(options, "samples", 2, optional=True)
    _whole(options, "bins", 1, optional=True)
    _whole(options, "pca", 1, optional=True)
    if not isinstance(options["whiten"], bool):
        raise InputError(f"data option whiten is {options['whiten']!r}; give true or false")


def _check_spectrum(spectrum: Any) -> None:
    fine = isinstance(spectrum, (list, tuple)) and len(spectrum) > 0
    if not fine or not all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v < np.inf for v in spectrum
    ):
        raise InputError(f"data option spectrum is {spectrum!r}; give a list of variances of at least 0, one an input")


def _check_gaussian(options: Mapping[str, Any]) -> None:
    _check_spectrum(options["spectrum"])
    _whole(options, "samples", 1)
    if options["targets"] not in ("inputs", "normal", "classes"):
        raise unknown_name("targets of data 'gaussian'", options["targets"], ("inputs", "normal", "classes"))
    if options["targets"] != "inputs":
        _whole(options, "outputs", 1)


def _check_teacher(options: Mapping[str, Any]) -> None:
    widths = options["widths"]
    if not isinstance(widths, (list, tuple)) or len(widths) < 2 or not all(type(w) is int and w > 0 for w in widths):
        raise InputError(f"data option widths is {widths!r}; give at least two whole numbers above 0")
    _whole(options, "samples", 1)
    if options["spectrum"] is not None:
        _check_spectrum(options["spectrum"])
        if len(options["spectrum"]) != widths[0]:
            raise InputError(
                f"the teacher has {widths[0]} inputs and a spectrum of {len(options['spectrum'])}; make them equal"
            )
    if options["activation"] not in ACTIVATIONS:
        raise unknown_name("activation of data 'teacher'", options["activation"], ACTIVATIONS)
    for key in ("scale", "noise"):
        value = options[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
            raise InputError(f"data option {key} is {value!r}; give a number of at least 0")


def _check_arrays(options: Mapping[str, Any]) -> None:
    _checked_pair(options["inputs"], options["targets"])


def _numbers(inputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    advice = "give arrays of numbers of shape (N, d) and (N, c)"
    return real_array("inputs", inputs, advice), real_array("targets", targets, advice)


def _check_file(*names: str) -> Callable[[Mapping[str, Any]], None]:
    def check(options: Mapping[str, Any]) -> None:
        for name in names:
            if not isinstance(options[name], str):
                raise InputError(f"data option {name} is {options[name]!r}; give a path or name, a string")
        _check_reduction(options)

    return check


def _checked_pair(inputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    x, y = _numbers(inputs, targets)
    if y.ndim == 1:
        y = y[:, None]
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise InputError(f"inputs have shape {x.shape}, targets {y.shape}; give (N, d) and (N, c) with the same N")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("the data hold NaN or infinity; give finite numbers")
    return x, y


_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "digits": _check_reduction,
    "gaussian": _check_gaussian,
    "teacher": _check_teacher,
    "arrays": _check_arrays,
    "npz": _check_file("path", "inputs", "targets"),
    "idx": _check_file("images", "labels"),
}


# ---- random data -------------------------------------------------------------------------------------------------
def _gaussian_inputs(spectrum: Any, samples: int, seed: int, stream: int, draw: int) -> Array:
    scale = np.sqrt(np.asarray(spectrum, dtype=np.float64))
    return normals(seed, stream, draw, 0, samples * len(scale)).reshape(samples, -1) * scale


def _gaussian(options: Mapping[str, Any], seed: int, stream: int, draw: int) -> tuple[Array, Array]:
    samples, outputs = options["samples"], options["outputs"]
    x = _gaussian_inputs(options["spectrum"], samples, seed, stream, draw)
    if options["targets"] == "inputs":
        return x, x
    if options["targets"] == "normal":
        return x, normals(seed, stream, draw, 1, samples * outputs).reshape(samples, outputs)
    labels = np.minimum((uniforms(seed, stream, draw, 1, samples) * outputs).astype(int), outputs - 1)
    return x, np.eye(outputs)[labels]


def _teacher(options: Mapping[str, Any], seed: int, stream: int, draw: int) -> tuple[Array, Array]:
    from simcore.backends.network_problems import Mlp
    from simcore.backends.reference_network import layout, outputs

    widths = tuple(options["widths"])
    x = _gaussian_inputs(options["spectrum"] or [1.0] * widths[0], options["samples"], seed, stream, draw)
    y = np.zeros((len(x), widths[-1]))
    problem = Mlp(widths, options["activation"], "mse", x, y, 0.0)
    weights = normals(seed, stream, draw, 1, problem.dimension) * options["scale"]
    for (w, _), fan_in in zip(layout(widths), widths[:-1], strict=True):
        weights[w] /= np.sqrt(fan_in)
    noise = normals(seed, stream, draw, 2, y.size).reshape(y.shape)
    return x, outputs(problem, weights)[0] + options["noise"] * noise


# ---- fixed data --------------------------------------------------------------------------------------------------
@lru_cache(maxsize=8)
def _fixed(kind: str, description: str) -> tuple[Array, Array]:
    options = {**KINDS[kind], **json.loads(description)}
    if kind == "digits":
        x, labels = _digits()
        y = np.eye(10)[labels]
    else:
        if _file_digest(kind, {**options, "sha256": None}) != options["sha256"]:
            raise InputError(
                f"the {kind} data have changed since they were described; describe them anew without sha256"
            )
        x, y = _labels_or_targets(*read_npz(options)) if kind == "npz" else _read_idx(options)
    x, y = _reduced(x, y, options)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def _digits() -> tuple[Array, Array]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "data 'digits' come with scikit-learn, which is not installed: pip install 'simcore[data]'"
        ) from None
    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels


def _reduced(x: Array, y: Array, options: Mapping[str, Any]) -> tuple[Array, Array]:
    """Take a fixed random subset, average pixels, centre, project on principal components; rounded to 1e-9, so that
    another LAPACK's last digits don't give another function."""
    if options["samples"] is not None:
        if options["samples"] > len(x):
            raise InputError(f"data option samples is {options['samples']}; the data have {len(x)}")
        order = np.argsort(uniforms(0, zlib.crc32(b"samples"), 0, 0, len(x)), kind="stable")[: options["samples"]]
        x, y = x[order], y[order]
    if options["bins"] is not None:
        side, bins = round(x.shape[1] ** 0.5), options["bins"]
        if side * side != x.shape[1] or side % bins:
            raise InputError(
                f"data option bins is {bins}; the data have {x.shape[1]} inputs, so give a divisor of {side}"
            )
        x = x.reshape(len(x), bins, side // bins, bins, side // bins).mean(axis=(2, 4)).reshape(len(x), -1)
    x = x - x.mean(axis=0)
    if options["pca"] is not None:
        if options["pca"] > min(x.shape):
            raise InputError(f"data option pca is {options['pca']}; these data have at most {min(x.shape)} components")
        components = np.linalg.svd(x, full_matrices=False)[2][: options["pca"]]
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
        x = x @ (components * np.sign(largest)).T
        if options["whiten"]:
            x = x / x.std(axis=0)
    return np.round(x, 9), np.array(y)


def _labels_or_targets(x: Array, y: Array) -> tuple[Array, Array]:
    if y.ndim == 1 and len(y) and (y == np.round(y)).all() and y.min() >= 0 and y.max() < 10_000:
        y = np.eye(int(y.max()) + 1)[y.astype(int)]
    return _checked_pair(x.reshape(len(x), -1), y)


def _file_digest(kind: str, options: Mapping[str, Any]) -> str:
    names = [options["path"]] if kind == "npz" else [options["images"], options["labels"]]
    found = hashlib.sha256(b"".join(hashlib.sha256(file_bytes(name)).digest() for name in names)).hexdigest()
    if options["sha256"] not in (None, found):
        raise InputError(f"the data file {names[0]!r} has SHA-256 {found}, not {options['sha256']}; restore the file")
    return found


def _read_idx(options: Mapping[str, Any]) -> tuple[Array, Array]:
    images, labels = (read_idx(options[key]) for key in ("images", "labels"))
    return _labels_or_targets(images.astype(np.float64) / (255.0 if images.dtype == np.uint8 else 1.0), labels)
