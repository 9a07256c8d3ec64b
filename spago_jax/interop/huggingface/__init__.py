# SPDX-License-Identifier: BSD-2-Clause
"""Models in Hugging Face's layout: found, read, and written again."""

from spago_jax.core.lazy_names import lazy_names as _lazy_names

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "Pretrained": "spago_jax.interop.huggingface.pretrained",
        "SentencePipeline": "spago_jax.interop.huggingface.sentence",
        "find_model": "spago_jax.interop.huggingface.locate",
        "load_pretrained": "spago_jax.interop.huggingface.load",
    },
)
