# SPDX-License-Identifier: BSD-2-Clause
"""Functions whose values and derivatives hold over the whole float range: what ``stabilize`` puts in place."""

from spago_jax.compiler.rewrite.accurate.elementwise import cosine_defect as cosine_defect
from spago_jax.compiler.rewrite.accurate.elementwise import expm1 as expm1
from spago_jax.compiler.rewrite.accurate.elementwise import hyperbolic_sine as hyperbolic_sine
from spago_jax.compiler.rewrite.accurate.elementwise import inverse_hyperbolic_sine as inverse_hyperbolic_sine
from spago_jax.compiler.rewrite.accurate.elementwise import log_abs_power as log_abs_power
from spago_jax.compiler.rewrite.accurate.elementwise import x_log_x as x_log_x
from spago_jax.compiler.rewrite.accurate.norms import direction as direction
from spago_jax.compiler.rewrite.accurate.norms import hypot as hypot
from spago_jax.compiler.rewrite.accurate.norms import norm as norm
from spago_jax.compiler.rewrite.accurate.sigmoids import log_sigmoid as log_sigmoid
from spago_jax.compiler.rewrite.accurate.sigmoids import sech_squared as sech_squared
from spago_jax.compiler.rewrite.accurate.sigmoids import sigmoid as sigmoid
from spago_jax.compiler.rewrite.accurate.sigmoids import softplus as softplus
from spago_jax.compiler.rewrite.accurate.sigmoids import tanh as tanh
from spago_jax.compiler.rewrite.accurate.squares import difference_of_squares as difference_of_squares
from spago_jax.compiler.rewrite.accurate.squares import one_minus_square as one_minus_square
from spago_jax.compiler.rewrite.accurate.sums import log1mexp as log1mexp
from spago_jax.compiler.rewrite.accurate.sums import log_softmax as log_softmax
from spago_jax.compiler.rewrite.accurate.sums import logaddexp as logaddexp
from spago_jax.compiler.rewrite.accurate.sums import logexpm1 as logexpm1
from spago_jax.compiler.rewrite.accurate.sums import logmeanexp as logmeanexp
from spago_jax.compiler.rewrite.accurate.sums import logsubexp as logsubexp
from spago_jax.compiler.rewrite.accurate.sums import logsumexp as logsumexp
from spago_jax.compiler.rewrite.accurate.sums import softmax as softmax
