"""The automatic step caps of capped Newton, with the measurements behind them.

All tables: cpu backend, tolerance 1e-10, at most 200 steps, one seed; an evaluation is value, gradient and Hessian at
one point. "Converged" is the status ``critical``. Repeats with other seeds move the numbers by about a tenth.
"""

from __future__ import annotations

import math


def wave_step_cap(n: int) -> float:
    """Return the automatic step cap of a Gaussian field in R^n, in correlation lengths; inf for none.

    No cap for n <= 2, then 3.2/sqrt(n). Evaluations per converged start and, in brackets, the fraction that converged;
    features = 1024, starts "box", 70 to 1,600 starts:

    ===  =================================================================================  =====
    n    cap: evaluations (converged)                                                       rule
    ===  =================================================================================  =====
    2    1: 54 (.82)     2: 16.5 (.99)   5: 14.3 (.99)    inf: 14.1 (.99)                   inf
    3    1: 27 (.93)     1.5: 14.2 (.99) 2: 12.5 (1.00)   inf: 12.4 (1.00)                  1.85
    5    1: 18.8 (.99)   1.5: 19.8 (1.00) 2: 21.1 (1.00)  inf: 20.6 (1.00)                  1.43
    10   .6: 41 (.91)    .8: 25.7 (.98)  1: 26.6 (1.00)   1.2: 37 (1.00)   1.5: 66 (.96)    1.01
    20   .5: 50 (.90)    .6: 38.7 (.97)  .7: 35.3 (.99)   .83: 51 (.98)    1: 102 (.89)     0.72
    50   .35: 64 (.90)   .4: 53 (.96)    .45: 59 (.96)    .5: 64 (.96)     .57: 97 (.91)    0.45
    100  .25: 90 (.85)   .28: 86 (.87)   .32: 78 (.92)    .36: 92 (.92)    .4: 112 (.87)    0.32
    200  .18: 103 (.88)  .23: 138 (.77)  .28: 110 (.92)                                     0.23
    ===  =================================================================================  =====

    Below the best cap starts are trapped at minima of |grad f| that are not critical points; above it one soft mode
    makes the step so long that the others lose their place. Without a cap a start converges far from where it began
    (for n <= 5 it does converge), which a search in a ball or a box does not want: hence the cap from n = 3 up.
    """
    return math.inf if n <= 2 else 3.2 / math.sqrt(n)


def torus_step_cap(n: int) -> float:
    """Return the automatic step cap of a torus field, in its lengths 1/sqrt(l2); inf for none.

    No cap for n <= 3, then 2.8/sqrt(n). Where every point was found, the measure is the number of evaluations until
    each critical point of a draw has had four starts (median over 3 to 20 draws); for n = 7, 8 evaluations per
    converged start:

    ===  ==================================================================================  =====
    n    cap: evaluations                                                                    rule
    ===  ==================================================================================  =====
    2    1: 305       2: 807       4: 192       inf: 198                                     inf
    3    1: 2,384     1.4: 1,566   2: 1,974     2.8: 1,374   inf: 1,366                      inf
    4    1: 7,242     1.2: 5,058   1.4: 5,507   1.6: 6,590   1.85: 8,394  inf: 5,529         1.40
    5    1: 47,400    1.2: 36,900  1.43: 40,900 1.65: 43,300 2.2: 46,200  inf: 50,400        1.25
    6    .8: 461,000  1.1: 224,000 1.5: 244,000 2: 286,000   inf: 344,000                    1.14
    7    .8: 23.7     1.1: 15.6    1.4: 17.1    1.9: 24.6    inf: 25.5                       1.06
    8    .7: 30.8     1: 17.7      1.3: 19.5    1.7: 29.3    inf: 35.4                       0.99
    ===  ==================================================================================  =====

    From 98 to 100 % of starts converge at the rule's cap.
    """
    return math.inf if n <= 3 else 2.8 / math.sqrt(n)


def confined_step_cap(n: int) -> float:
    """Return the automatic step cap of a confined field, in correlation lengths; inf for none.

    No cap for n <= 2, then 3.7/sqrt(n). Evaluations until each critical point of a draw has had four starts, median
    over 10 to 150 draws:

    ======  =========================================================================  =====
    n, m    cap: evaluations                                                           rule
    ======  =========================================================================  =====
    1, .5   1: 1,371     1.5: 1,263  2: 1,023    3: 1,048    inf: 314                  inf
    2, .5   1: 6,357     1.5: 4,691  2: 4,156    4: 2,453    6: 2,055     inf: 1,151   inf
    2, 1    1.5: 153     2: 322      3: 296      inf: 113                              inf
    3, .5   1.4: 7,300   2: 9,900    3: 9,500    4.5: 8,500  inf: 4,400                2.14
    5, .5   1: 199,000   1.4: 90,000 1.8: 73,000 2.4: 173,000 3.5: 256,000             1.65
    5, 1    .5: 1,395    .7: 715     1: 152      1.4: 89     2: 151       inf: 274     1.65
    8, 1    1: 115       1.4: 75     2: 275                                            1.31
    ======  =========================================================================  =====

    A start where the parabola is steep and the waves are few has no critical point near: with a cap it wanders until
    its steps are spent, without one it leaves at once, which is why no cap is best in few dimensions. At n = 3 some
    points got fewer than four of 1,000 uncapped starts.
    """
    return math.inf if n <= 2 else 3.7 / math.sqrt(n)


def sphere_step_cap(n: int, p: int) -> float:
    """Return the automatic step cap on the sphere |x|^2 = n, in units of sqrt(n); inf for none.

    No cap for n <= 6; then 2/(p - 1) times 1.5 for n <= 12, and times the larger of 1/(0.62 + 0.027 n) and 2.9/sqrt(n)
    beyond. Evaluations per converged start and, in brackets, the fraction that converged within 200 steps; one seed, 24
    (n = 500) to 60,000 starts:

    ======  ====================================================================================  =====
    n, p    cap: evaluations (converged)                                                          rule
    ======  ====================================================================================  =====
    4, 3    1: 26 (.92)     2: 15.0 (.98)   inf: 12.7 (.99)                                       inf
    6, 3    .5: 54 (.82)    1: 24.5 (.95)   inf: 15.9 (1.00)                                      inf
    8, 3    .7: 35 (.90)    1: 21.7 (.97)   1.5: 17.7 (.99)   inf: 18.7 (1.00)                    1.50
    10, 3   1: 29.5 (.96)   1.3: 24.8 (.99) 1.8: 24.7 (.99)   inf: 27.0 (.99)                     1.50
    12, 3   .7: 37 (.92)    1: 25.3 (.98)   1.5: 25.0 (.99)   inf: 28.8 (1.00)                    1.50
    14, 3   .7: 39 (.92)    1: 28.7 (.98)   1.5: 29.0 (.99)   inf: 36.3 (.99)                     1.00
    20, 3   .55: 50 (.89)   .7: 37.9 (.95)  .85: 34.9 (.98)   1: 35.6 (.99)                       0.86
    30, 3   .5: 49 (.91)    .6: 41.1 (.95)  .7: 40.4 (.97)    .8: 42.4 (.97)   .9: 46.7 (.98)     0.70
    60, 3   .3: 83 (.80)    .37: 67 (.87)   .43: 57.7 (.93)   .5: 70.8 (.92)                      0.45
    100, 3  .25: 92 (.81)   .28: 67 (.88)   .3: 80 (.89)      .37: 92 (.88)    .42: 129 (.78)     0.30
    200, 3  .12: 181 (.65)  .17: 116 (.79)  .19: 96 (.86)     .22: 111 (.83)   .3: 300 (.50)      0.21
    500, 3  .1: 233 (.58)   .13: 136 (.83)                                                        0.13
    8, 4    .75: 18.6 (.99) 1: 18.8 (1.00)  inf: 21.8 (1.00)                                      1.00
    20, 4   .5: 33 (.98)    .65: 38 (.99)   .75: 46 (.99)     .86: 61 (.98)    1: 85 (.92)        0.57
    8, 5    .7: 19.3 (1.00) 1: 23.0 (1.00)  1.5: 24.4 (1.00)  inf: 23.9 (1.00)                    0.75
    40, 4   .3: 55 (.92)    .4: 54 (.95)    .5: 83 (.94)      .6: 217 (.61)                       0.39
    12, 6   .4: 26 (.98)    .6: 31 (1.00)   .8: 51 (.98)      1.1: 69 (.96)                       0.60
    20, 2   .5: 6.2 (1.00)  .86: 5.9 (1.00) 1.5: 5.8 (1.00)   inf: 5.5 (1.00)                     1.72
    ======  ====================================================================================  =====
    """
    if n <= 6:
        return math.inf
    return 2 / (p - 1) * (1.5 if n <= 12 else max(1 / (0.62 + 0.027 * n), 2.9 / math.sqrt(n)))
