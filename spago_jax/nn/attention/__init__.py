# SPDX-License-Identifier: BSD-2-Clause
"""Attention: one head and several, linear, hashed and synthetic; and the cache of keys and values."""

from spago_jax.nn.attention.base import Attention as Attention
from spago_jax.nn.attention.kv_cache import KeyValueCache as KeyValueCache
from spago_jax.nn.attention.linear import LinearAttention as LinearAttention
from spago_jax.nn.attention.lsh import LSHAttention as LSHAttention
from spago_jax.nn.attention.multi_head import MultiHeadAttention as MultiHeadAttention
from spago_jax.nn.attention.one_head import CrossAttention as CrossAttention
from spago_jax.nn.attention.one_head import SelfAttention as SelfAttention
from spago_jax.nn.attention.synthetic import SyntheticAttention as SyntheticAttention
