# SPDX-License-Identifier: BSD-2-Clause
"""The names of JAX's primitives by what they do to arrays."""


def words(text: str) -> frozenset[str]:
    """Returns the words of a text."""
    return frozenset(text.split())


# Number by number, in order of cost: a transcendental function counts as more than an operation.
TRANSCENDENTAL = words(
    "exp exp2 log log1p expm1 tanh tan sin cos asin acos atan atan2 sinh cosh asinh acosh atanh logistic sqrt "
    "rsqrt cbrt pow erf erfc erf_inv lgamma digamma polygamma igamma igammac bessel_i0e bessel_i1e zeta "
    "regularized_incomplete_beta"
)
ELEMENTWISE = words(
    "add sub mul div rem neg abs sign floor ceil round max min eq ne lt le gt ge select_n clamp is_finite square "
    "nextafter add_any complex conj real imag reduce_precision"
)
# Number by number too, and free: they change the type, the bits, or nothing.
UNCOUNTED = words(
    "convert_element_type bitcast_convert_type integer_pow and or xor not shift_left shift_right_logical "
    "shift_right_arithmetic population_count clz copy copy_p device_put name optimization_barrier stop_gradient"
)
COMPARISONS = words("eq ne lt le gt ge")
REDUCTIONS = words("reduce_sum reduce_max reduce_min reduce_prod argmax argmin")
CUMULATIVE = words("cumsum cumprod cummax cummin cumlogsumexp")
