# SPDX-License-Identifier: BSD-2-Clause
"""Models in Hugging Face's layout: found, read, and written again."""

import typing as _typing

from spago_jax.core.lazy_names import lazy_names as _lazy_names

if _typing.TYPE_CHECKING:
    from spago_jax.interop.huggingface.load import load_pretrained as load_pretrained
    from spago_jax.interop.huggingface.locate import find_model as find_model
    from spago_jax.interop.huggingface.pretrained import Pretrained as Pretrained
    from spago_jax.interop.huggingface.sentence import SentencePipeline as SentencePipeline

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "Pretrained": "spago_jax.interop.huggingface.pretrained",
        "SentencePipeline": "spago_jax.interop.huggingface.sentence",
        "find_model": "spago_jax.interop.huggingface.locate",
        "load_pretrained": "spago_jax.interop.huggingface.load",
    },
)
