"""Gradients and exact Hessian-vector products of the networks, batched over starts, without the Hessian.

The product is Pearlmutter's R-operator, R{q} = dq/de of q(x + e v) at e = 0, sent through the forward and the backward
pass. With a_l = phi(z_l), z_l = W_l a_{l-1} + b_l, d_l = df/dz_l, and (V_l, c_l) the parts of v in the places of
(W_l, b_l):

    R z_l = V_l a_{l-1} + W_l R a_{l-1} + c_l,     R a_l = phi'(z_l) R z_l,
    R d_l = phi'(z_l) (W^T R d + V^T d) + phi''(z_l) (W^T d) R z_l     (W, V, d of layer l + 1),
    R df/dW_l = sum over samples of R d_l a_{l-1}^T + d_l R a_{l-1}^T.

Data may be shared, (1, N, d), or each start's own, (S, N, d). Row i of a result depends on row i of the input alone:
every matrix product runs over one start's matrices.

Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994) 147.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simcore.backends.network_problems import Linear, Mlp
from simcore.backends.problems import Array
from simcore.backends.reference_network import activate, layers, layout, linear_layers


class Perceptron:
    """Cost, gradient and Hessian-vector products of a multilayer perceptron at points x, shape (S, n).

    inputs, targets : in place of the problem's, shapes (S or 1, N, d) and (S or 1, N, c).
    """

    def __init__(self, problem: Mlp, x: Array, inputs: Array | None = None, targets: Array | None = None) -> None:
        self.problem, self.x = problem, x
        self.weights = layers(problem.widths, x)
        a: Array = problem.inputs[None] if inputs is None else inputs
        y: Array = problem.targets[None] if targets is None else targets
        self.samples = a.shape[1]
        self.activations: list[Array] = []
        self.slopes: list[tuple[Array, Array]] = []
        for number, (w, b) in enumerate(self.weights):
            self.activations.append(a)
            z = a @ w.swapaxes(1, 2) + b[:, None, :]
            if number < len(self.weights) - 1:
                a, first, second = activate(problem.activation, z)
                self.slopes.append((first, second))
        cost, delta = self._loss(z, y)
        self.value = cost + 0.5 * problem.l2 * (x * x).sum(axis=1)
        self.deltas = [delta]  # from the last layer to the first
        self.pulled: list[Array] = []  # W_{l+1}^T d_{l+1}, likewise
        for number in range(len(self.weights) - 1, 0, -1):
            self.pulled.append(self.deltas[-1] @ self.weights[number][0])
            self.deltas.append(self.pulled[-1] * self.slopes[number - 1][0])
        self.gradient = problem.l2 * x
        for number, (at_w, at_b) in enumerate(layout(problem.widths)):
            delta = self.deltas[-1 - number]
            self.gradient[:, at_w] += (delta.swapaxes(1, 2) @ self.activations[number]).reshape(len(x), -1)
            self.gradient[:, at_b] += delta.sum(axis=1)

    def _loss(self, o: Array, y: Array) -> tuple[Array, Array]:
        if self.problem.loss == "mse":
            residual = o - y
            return _sums(residual * residual) / (2 * self.samples), residual / self.samples
        shifted = o - o.max(axis=2, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=2, keepdims=True)
        self.softmax = e / total
        return _sums((np.log(total) - shifted) * y) / self.samples, (self.softmax - y) / self.samples

    def times(self, v: Array) -> Array:
        """Return H v, shape (S, n), for v of the same shape."""
        directions = layers(self.problem.widths, v)
        last = len(self.weights) - 1
        moved: list[Array | None] = [None]  # R a_0 = 0
        bent: list[Array] = []  # R z_l
        for number, ((w, _), (dw, db)) in enumerate(zip(self.weights, directions, strict=True)):
            z = self.activations[number] @ dw.swapaxes(1, 2) + db[:, None, :]
            before = moved[-1]
            if before is not None:
                z = z + before @ w.swapaxes(1, 2)
            bent.append(z)
            if number < last:
                moved.append(self.slopes[number][0] * z)
        if self.problem.loss == "mse":
            delta = bent[-1] / self.samples
        else:
            p = self.softmax
            delta = p * (bent[-1] - (p * bent[-1]).sum(axis=2, keepdims=True)) / self.samples
        result = self.problem.l2 * v
        places = layout(self.problem.widths)
        for number in range(last, -1, -1):
            at_w, at_b = places[number]
            block = delta.swapaxes(1, 2) @ self.activations[number]
            before = moved[number]
            if before is not None:
                block = block + self.deltas[last - number].swapaxes(1, 2) @ before
            result[:, at_w] += block.reshape(len(v), -1)
            result[:, at_b] += delta.sum(axis=1)
            if number:
                first, second = self.slopes[number - 1]
                pulled = delta @ self.weights[number][0] + self.deltas[last - number] @ directions[number][0]
                delta = first * pulled + second * self.pulled[last - number] * bent[number - 1]
        return result


def _sums(a: Array) -> Array:
    """Return the sum over everything but the first axis."""
    return a.reshape(len(a), -1).sum(axis=1)


class DeepLinear:
    """Cost, gradient and Hessian-vector products of a deep linear network at points x, shape (S, n).

    With P_k = W_k ... W_1 and D_L = (P_L - T) S, D_{k-1} = W_k^T D_k: df/dW_k = D_k P_{k-1}^T; the product sends
    R P_k = V_k P_{k-1} + W_k R P_{k-1} and R D_{k-1} = V_k^T D_k + W_k^T R D_k through the same passes.
    """

    def __init__(self, problem: Linear, x: Array) -> None:
        self.problem = problem
        self.weights = linear_layers(problem.widths, x)
        first = np.eye(problem.widths[0])[None]
        self.below: list[Array] = [np.repeat(first, len(x), axis=0)]
        for w in self.weights:
            self.below.append(w @ self.below[-1])
        error = self.below[-1] - problem.target
        slope = error @ problem.covariance[None]
        self.value = 0.5 * _sums(slope * error)
        self.deltas: list[Any] = [None] * len(self.weights)
        parts: list[Any] = [None] * len(self.weights)
        for k in range(len(self.weights) - 1, -1, -1):
            self.deltas[k] = slope
            parts[k] = (slope @ self.below[k].swapaxes(1, 2)).reshape(len(x), -1)
            slope = self.weights[k].swapaxes(1, 2) @ slope
        self.gradient = np.concatenate(parts, axis=1)

    def times(self, v: Array) -> Array:
        """Return H v, shape (S, n), for v of the same shape."""
        directions = linear_layers(self.problem.widths, v)
        moved = [np.zeros_like(self.below[0])]
        for w, dw, before in zip(self.weights, directions, self.below[:-1], strict=True):
            moved.append(dw @ before + w @ moved[-1])
        slope = moved[-1] @ self.problem.covariance[None]
        parts: list[Any] = [None] * len(directions)
        for k in range(len(directions) - 1, -1, -1):
            block = slope @ self.below[k].swapaxes(1, 2) + self.deltas[k] @ moved[k].swapaxes(1, 2)
            parts[k] = block.reshape(len(v), -1)
            slope = directions[k].swapaxes(1, 2) @ self.deltas[k] + self.weights[k].swapaxes(1, 2) @ slope
        return np.concatenate(parts, axis=1)
