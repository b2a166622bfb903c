"""What a user would write instead: the same Newton iteration in NumPy, JAX, PyTorch and CuPy, and SciPy's root finders.

Every peer starts from the same points of the same function in the same process. The iteration of NumPy, JAX, PyTorch
and CuPy is the capped Newton step with an index at the end; the form with matrix products is one body for the four.
Beside the backend ``cuda`` the batched ones run on the device, and simcore's own kernels on one processor core too.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, util
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Mlp
from simcore.backends.problems import Spin, Waves
from simcore.benchmarks import network_peers
from simcore.errors import InputError

Array = NDArray[np.float64]
Derivatives = Callable[[Any], tuple[Any, Any]]

ITERATIONS = 10  # Newton steps a peer takes from each start

LIBRARY = {
    "numpy loop": "numpy",
    "simcore cpu": "numpy",
    "torch batched": "torch",
    "cupy batched": "cupy",
    "jax gemm": "jax",
    "jax autodiff": "jax",
    "scipy hybr": "scipy",
    "scipy lm": "scipy",
    "jax lm": "jax",
    "jax lm gemm": "jax",
}
"""The library that each peer needs."""

ROOT_FINDERS = ("scipy hybr", "scipy lm", "jax lm", "jax lm gemm")
"""Peers that search until they have found, or not: compared by points a second. Networks have no others."""
TOGETHER = {"jax lm": network_peers.TOGETHER, "jax lm gemm": network_peers.TOGETHER}
"""Starts that such a peer takes at once, where it is not one."""
BATCHED = ("torch batched", "cupy batched", "jax gemm", "jax autodiff")
"""The peers that take all starts at once, and can do so on a CUDA device."""
BESIDE_CUDA = ("simcore cpu", "cupy batched")
"""Peers of the backend ``cuda`` alone."""


class Problem(NamedTuple):
    """What the peers are given: a function, its starts and the step cap of the search."""

    problem: Waves | Spin | Mlp
    starts: Array
    step_cap: float


def supports(name: str, problem: Any) -> bool:
    """Whether a peer knows this kind of function: random waves, spins of degree 3, networks by JAX's derivatives."""
    if isinstance(problem, Mlp):
        known = name in ROOT_FINDERS and util.find_spec("jax") is not None
        return known and (name != "jax lm gemm" or network_peers.by_hand(problem))
    if name.startswith("jax lm"):
        return False
    return isinstance(problem, Waves) or (isinstance(problem, Spin) and problem.p == 3)


def installed(on_device: bool = False) -> tuple[list[str], list[str]]:
    """Return the peers that can run here and the names of those whose library is not installed, or sees no device."""
    present, missing = [], []
    for peer, library in LIBRARY.items():
        if peer in BESIDE_CUDA and not on_device:
            continue
        if util.find_spec(library) is None:
            missing.append(peer)
        elif on_device and peer in BATCHED and not _sees_device(library):
            missing.append(f"{peer} (installed, but without a CUDA device)")
        else:
            present.append(peer)
    return present, missing


def _sees_device(library: str) -> bool:
    """Whether an installed library can run on a CUDA device here."""
    found: Any = import_module(library)
    if library == "torch":
        return bool(found.cuda.is_available())
    if library == "jax":
        return found.default_backend() == "gpu"
    try:
        return found.cuda.runtime.getDeviceCount() > 0
    except Exception:  # CuPy's own error of the runtime: no driver
        return False


def iteration(name: str, given: Problem, threads: int, on_device: bool = False) -> Callable[[], Any]:
    """Return a call that takes ``ITERATIONS`` capped Newton steps from every start and finds the index at the end.

    ``on_device``: batched peers on the CUDA device; the call waits for it.
    """
    assert not isinstance(given.problem, Mlp)  # networks have root finders alone
    if name == "numpy loop":
        step = _search_with(np, _derivatives(np, given.problem), given)
        return lambda: [step(start[np.newaxis]) for start in given.starts]
    if name == "simcore cpu":
        return _simcore_on_one_core(given)
    if name in ("torch batched", "cupy batched"):
        xp: Any = import_module(LIBRARY[name])
        if name == "torch batched" and not on_device:
            xp.set_num_threads(threads)
        asarray = _converter(xp, on_device)
        run = _search_with(xp, _derivatives(xp, given.problem, asarray), given)
        starts = asarray(np.ascontiguousarray(given.starts))
        wait = _wait(xp) if on_device else (lambda: None)

        def call() -> Any:
            found = run(starts)
            wait()
            return found

        return call
    if name in ("jax gemm", "jax autodiff"):
        return _jax(given, autodiff=name == "jax autodiff")
    raise InputError(
        f"{name!r} takes no fixed number of iterations; choose from {', '.join(set(LIBRARY) - set(ROOT_FINDERS))}"
    )


def _simcore_on_one_core(given: Problem) -> Callable[[], Any]:
    from simcore.backends import cpu
    from simcore.backends.problems import NewtonOptions

    options = NewtonOptions(given.step_cap, 0.0, 0.0, ITERATIONS, np.inf, 1e-10, 0.0)
    return lambda: cpu.newton(given.problem, given.starts, options)


def _converter(xp: Any, on_device: bool) -> Callable[[Any], Any]:
    """Return what makes an array of the library from one of NumPy, on the device where asked for."""
    if xp.__name__ != "torch":
        return xp.asarray
    return (lambda array: xp.from_numpy(array).cuda()) if on_device else xp.from_numpy


def _wait(xp: Any) -> Callable[[], None]:
    """Return the call that waits for the device."""
    return xp.cuda.synchronize if xp.__name__ == "torch" else xp.cuda.Device().synchronize


# ---- one body for four libraries --------------------------------------------------------------------------------
def _search_with(xp: Any, derivatives: Derivatives, given: Problem) -> Callable[[Any], Any]:
    """Return the search from points of shape (S, n): the last points and their indices."""
    spin = isinstance(given.problem, Spin)

    def step(x: Any) -> Any:
        gradient, hessian = derivatives(x)
        full = xp.linalg.solve(hessian, gradient[..., None])[..., 0]
        length = xp.sqrt((full * full).sum(-1))[:, None]
        excess = length / given.step_cap
        moved = x - full / xp.where(excess > 1, excess, 1 + 0 * excess)
        if spin:
            moved = (
                moved * xp.sqrt(given.problem.dimension + 1.0 + 0 * length) / xp.sqrt((moved * moved).sum(-1))[:, None]
            )
        return moved

    def run(x: Any) -> Any:
        for _ in range(ITERATIONS):
            x = step(x)
        hessian = derivatives(x)[1]
        return x, (xp.linalg.eigvalsh(hessian) < 0).sum(-1)

    run.step = step  # type: ignore[attr-defined]
    return run


def _derivatives(xp: Any, problem: Waves | Spin, asarray: Callable[[Any], Any] | None = None) -> Derivatives:
    """Return gradients (S, n) and Hessians (S, n, n) by matrix products, for arrays of the library ``xp``."""
    asarray = asarray or _converter(xp, on_device=False)
    if isinstance(problem, Waves):
        return _waves(xp, asarray, problem)
    return _spin(xp, asarray, problem)


def _waves(xp: Any, asarray: Callable[[Any], Any], problem: Waves) -> Derivatives:
    w = np.ascontiguousarray(problem.frequencies)
    n = w.shape[1]
    pairs = asarray(np.ascontiguousarray((w[:, :, np.newaxis] * w[:, np.newaxis, :]).reshape(len(w), n * n)))
    frequencies, transposed = asarray(w), asarray(np.ascontiguousarray(w.T))
    a, b = asarray(problem.cosine), asarray(problem.sine)
    mu, identity = problem.confinement, asarray(problem.confinement * np.eye(n))

    def derivatives(x: Any) -> tuple[Any, Any]:
        phase = x @ transposed
        cosine, sine = xp.cos(phase), xp.sin(phase)
        gradient = (b * cosine - a * sine) @ frequencies + mu * x
        hessian = identity - ((a * cosine + b * sine) @ pairs).reshape(-1, n, n)
        return gradient, hessian

    return derivatives


def _spin(xp: Any, asarray: Callable[[Any], Any], problem: Spin) -> Derivatives:
    """On the sphere, with A = P (H - mu I) P + x x'/n: regular, and equal to the Riemannian Hessian on tangent vectors.

    The rank-one part adds one positive eigenvalue, so the negative ones are the tangent index.
    """
    from simcore.backends.families.spin import symmetric_tensor

    n = problem.n
    tensor = asarray(np.ascontiguousarray(6.0 * symmetric_tensor(problem).reshape(n, n * n)))
    identity = asarray(np.eye(n))

    def derivatives(x: Any) -> tuple[Any, Any]:
        euclidean = (x @ tensor).reshape(-1, n, n)
        gradient = (euclidean @ x[..., None])[..., 0] / 2
        radial = ((gradient * x).sum(-1) / n)[:, None]
        outer = x[..., None] * x[:, None, :] / n
        projector = identity - outer
        hessian = projector @ (euclidean - radial[..., None] * identity) @ projector + outer
        return gradient - radial * x, hessian

    return derivatives


def _jax(given: Problem, *, autodiff: bool) -> Callable[[], Any]:
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp: Any = import_module("jax.numpy")
    assert not isinstance(given.problem, Mlp)
    derivatives = _automatic(jax, jnp, given.problem) if autodiff else _derivatives(jnp, given.problem)
    step = _search_with(jnp, derivatives, given).step  # type: ignore[attr-defined]

    @jax.jit
    def run(x: Any) -> Any:
        x = jax.lax.fori_loop(0, ITERATIONS, lambda _, point: step(point), x)
        return x, (jnp.linalg.eigvalsh(derivatives(x)[1]) < 0).sum(-1)

    starts = jnp.asarray(given.starts)
    return lambda: jax.block_until_ready(run(starts))


def _automatic(jax: Any, jnp: Any, problem: Waves | Spin) -> Derivatives:
    """Return vmapped ``jax.grad`` and ``jax.hessian`` of the function as one would write it down."""
    if isinstance(problem, Waves):
        w, a, b = jnp.asarray(problem.frequencies), jnp.asarray(problem.cosine), jnp.asarray(problem.sine)

        def value(x: Any) -> Any:
            phase = w @ x
            return jnp.sum(a * jnp.cos(phase) + b * jnp.sin(phase)) + 0.5 * problem.confinement * (x @ x)

        gradient, hessian = jax.vmap(jax.grad(value)), jax.vmap(jax.hessian(value))
        return lambda x: (gradient(x), hessian(x))

    from simcore.backends.families.spin import symmetric_tensor

    n = problem.n
    tensor, identity = jnp.asarray(symmetric_tensor(problem)), jnp.eye(n)

    def energy(x: Any) -> Any:
        return jnp.einsum("ijk,i,j,k->", tensor, x, x, x)

    gradient, hessian = jax.vmap(jax.grad(energy)), jax.vmap(jax.hessian(energy))

    def derivatives(x: Any) -> tuple[Any, Any]:
        euclidean = gradient(x)
        radial = ((euclidean * x).sum(-1) / n)[:, None]
        outer = x[..., None] * x[:, None, :] / n
        projector = identity - outer
        tangential = projector @ (hessian(x) - radial[..., None] * identity) @ projector + outer
        return euclidean - radial * x, tangential

    return derivatives


# ---- root finders ------------------------------------------------------------------------------------------------
def root_finder(name: str, given: Problem, tolerance: float) -> Callable[[int], Array]:
    """Return a call that runs ``scipy.optimize.root`` with the analytic Jacobian from the first k starts.

    It returns the ends that have a gradient norm below ``tolerance``, shape (k, n); each such point gets its index too.
    On the sphere the system is grad f - mu x = 0, |x|^2 = n in the n + 1 unknowns (x, mu). Networks: all ends, see
    ``network_peers``.
    """
    if isinstance(given.problem, Mlp):
        return network_peers.root_finder(name, given.problem, given.starts, tolerance)
    from scipy import optimize

    method = name.removeprefix("scipy ")
    function, jacobian, lift = _system(given.problem)
    options = {"xtol": 1e-12, **({"ftol": 1e-12, "gtol": 0.0} if method == "lm" else {})}

    def run(count: int) -> Array:
        found = []
        for start in given.starts[:count]:
            with np.errstate(all="ignore"):
                solution = optimize.root(function, lift(start), jac=jacobian, method=method, options=options)
            if np.linalg.norm(solution.fun) < tolerance and np.isfinite(np.linalg.eigvalsh(jacobian(solution.x))).all():
                found.append(solution.x[: len(start)])
        return np.array(found).reshape(len(found), -1)

    return run


def _system(
    problem: Waves | Spin,
) -> tuple[Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array]]:
    """Return the equations, their Jacobian and the map from a start to the unknowns."""
    if isinstance(problem, Waves):
        w, a, b, mu = problem.frequencies, problem.cosine, problem.sine, problem.confinement
        transposed, confinement = np.ascontiguousarray(w.T), mu * np.eye(w.shape[1])

        def gradient(x: Array) -> Array:
            phase = w @ x
            return transposed @ (b * np.cos(phase) - a * np.sin(phase)) + mu * x

        def hessian(x: Array) -> Array:
            phase = w @ x
            return confinement - (transposed * (a * np.cos(phase) + b * np.sin(phase))) @ w

        return gradient, hessian, lambda start: start

    from simcore.backends.families.spin import symmetric_tensor

    n = problem.n
    tensor = np.ascontiguousarray(6.0 * symmetric_tensor(problem).reshape(n * n, n))

    def equations(z: Array) -> Array:
        x, mu = z[:n], z[n]
        euclidean = (tensor @ x).reshape(n, n)
        return np.append(euclidean @ x / 2 - mu * x, (n - x @ x) / 2)

    def jacobian(z: Array) -> Array:
        x, mu = z[:n], z[n]
        bordered = np.zeros((n + 1, n + 1))
        bordered[:n, :n] = (tensor @ x).reshape(n, n) - mu * np.eye(n)
        bordered[:n, n] = bordered[n, :n] = -x
        return bordered

    def lift(start: Array) -> Array:
        euclidean = (tensor @ start).reshape(n, n)
        return np.append(start, start @ euclidean @ start / 2 / n)

    return equations, jacobian, lift
