# SPDX-License-Identifier: BSD-2-Clause
"""Embeddings of tokens by themselves, without a task: a list of configs, and the vectors of sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from pydantic import TypeAdapter, ValidationError

from spago_jax.core import Array
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.processor import padded_length
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import merged_arrays, merged_tables, most_positions
from spago_jax.embeddings.stacked import EmbeddingConfig, StackedEmbeddings, check_embeddings, fit
from spago_jax.errors import InputError

_LENGTHS = (8, 16, 32, 64, 128, 256)
_ROWS = 32


@jax.jit
def _embedded(module: StackedEmbeddings, batch: Mapping[str, Array]) -> Array:
    return module(batch)


class Embedder:
    """Stacked embeddings that are given: word vectors, pre-trained encoders, language models.

    Args:
        configs: as in ``model.embeddings``, stacked in this order; nothing is changed about them.
        seed: of the vectors that are random, such as those of hashes.

    Attributes:
        configs: the same, checked.
        indexers: their host halves.
        module: their device halves, stacked.

    Raises:
        InputError: for a config that is not valid, or a file that is missing or bad.

    >>> embedder = Embedder([{"kind": "hashes", "rows": 10, "size": 3}, {"kind": "hashes", "rows": 10, "size": 2}])
    >>> [vectors.shape for vectors in embedder([["a", "b"], ["c"]])]
    [(2, 5), (1, 5)]
    """

    def __init__(self, configs: Sequence[Mapping[str, Any] | Any], *, seed: int = 0):
        adapter: TypeAdapter[Any] = TypeAdapter(EmbeddingConfig)
        try:
            self.configs = tuple(adapter.validate_python(config) for config in configs)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"embeddings: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if not self.configs:
            raise InputError("embeddings: an empty list")
        check_embeddings(self.configs)
        lexicon = LexiconBuilder().build()
        self.indexers = fit(self.configs, lexicon)
        module = StackedEmbeddings.init(jax.random.key(seed), self.configs, self.indexers)
        self.module = module.from_data(self.configs, self.indexers, lexicon)

    @property
    def size(self) -> int:
        """The length of a token's vector."""
        return self.module.out_features

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """The vectors of the tokens of some sentences, float32 [tokens, size] each.

        Every embedding is computed once per batch, and sentences of like length together; a vector does not depend on
        the other sentences.
        """
        builder = LexiconBuilder()
        ids = [builder.encode(sentence) for sentence in sentences]
        if not ids:
            return []
        forms = RaggedArray.from_lengths(np.concatenate(ids), [len(row) for row in ids])
        tables = merged_tables(self.indexers, builder.build())
        lengths = forms.lengths
        positions = most_positions(self.indexers, tables, forms)
        order = np.argsort(positions, kind="stable")
        found: dict[int, np.ndarray] = {}
        for at in range(0, len(order), _ROWS):
            chunk = order[at : at + _ROWS]
            indices = np.full(min(_ROWS, 1 << (len(chunk) - 1).bit_length()), -1)
            indices[: len(chunk)] = chunk
            length = padded_length(max(int(positions[chunk].max()), 1), _LENGTHS)
            rows, sizes = forms.gather(indices, length, pad=-1)
            batch = merged_arrays(self.indexers, tables, rows, length) | {"lengths": sizes}
            vectors = np.asarray(_embedded(self.module, batch), np.float32)
            found |= {row: vectors[place, : lengths[row]] for place, row in enumerate(chunk.tolist())}
        return [found[row] for row in range(len(sentences))]
