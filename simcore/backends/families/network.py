"""Networks, fully connected and with shared weights: training cost."""

from __future__ import annotations

from simcore.backends.families.network_bounds import terms_of
from simcore.backends.family import Family, Without, add
from simcore.backends.network_problems import Chain, Mlp
from simcore.backends.reference_network import evaluate_chain, evaluate_mlp


def flops(problem: Mlp) -> float:
    """N C P(P+1) + 6 N P + P^3/3 + 2P^2 for P parameters, N samples, C outputs: the packed Gauss-Newton product of the
    outputs' derivatives, forward and backward passes, LDL^T and solves. The second derivatives of the outputs are of
    lower order and not counted."""
    parameters, (samples, outputs) = problem.dimension, problem.targets.shape
    passes = samples * (outputs * parameters * (parameters + 1.0) + 6.0 * parameters)
    return passes + parameters**3 / 3.0 + 2.0 * parameters**2


NETWORK = add(
    Family(
        problem=Mlp,
        evaluate=evaluate_mlp,
        products="simcore.backends.cpu.network_products:Passes",
        sample_gradient="simcore.backends.cpu.network_products:sample_gradient",
        bounds=terms_of,
        flops=flops,
        cpu="simcore.backends.cpu.marquardt",
        cuda="simcore.backends.cuda.network",
        pool=Without("Hessians of one start fill the device already"),
    )
)

CHAIN = add(
    Family(
        problem=Chain,
        evaluate=evaluate_chain,
        products="simcore.backends.cpu.network_products:Passes",
        sample_gradient="simcore.backends.cpu.network_products:sample_gradient",
        bounds=Without("no bound on third derivatives is known where weights are shared"),
        flops=Without("searched by Levenberg-Marquardt: see bench network"),
        cpu="simcore.backends.cpu.marquardt",
        cuda="simcore.backends.cuda.network",
        pool=Without("Hessians of one start fill the device already"),
    )
)
