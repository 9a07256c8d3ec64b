# SPDX-License-Identifier: BSD-2-Clause
"""An encoder with a head."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from spago_jax.core import Array, Module, Rng, child, static, unflat
from spago_jax.errors import InputError
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.encoder.encoder import Encoder
from spago_jax.models.encoder.heads import Classifier, Head, MaskedWords, init_head, real_tokens
from spago_jax.models.encoder.plans import head_plan
from spago_jax.models.execution import Execution, current_execution
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.models.modernbert.encoder import ModernBert
from spago_jax.nn.sizes import check_sizes

AnyConfig = EncoderConfig | ModernBertConfig


class EncoderModel(Module):
    """A pre-trained encoder and the head that reads its states.

    >>> config = EncoderConfig(vocabulary=9, hidden=4, layers=2, heads=2, intermediate=8, positions=6)
    >>> model = EncoderModel.init(jax.random.key(0), config, head="sequence-classification", labels=3)
    >>> model.logits(jnp.array([[2, 5, 3]])).shape
    (1, 3)
    """

    encoder: Encoder | ModernBert
    head: Head | None
    head_name: str = static(default="states")

    @classmethod
    def init(
        cls,
        key: Array,
        config: AnyConfig,
        *,
        head: str = "states",
        labels: int = 2,
        classifiers: Mapping[str, int] | None = None,
    ) -> "EncoderModel":
        """Fresh weights with the config's ``initializer_range``, for pre-training from nothing.

        Args:
            key: of the weights.
            config: of the encoder.
            head: one that the architecture has; see ``plans.HEADS``.
            labels: of a classifier.
            classifiers: outputs of each classifier of the ``pretraining`` head, by name; by default the architecture's.

        Raises:
            InputError: for a head that the architecture does not have, or sizes below 1.
        """
        check_sizes(config.architecture, labels=labels)
        plan = head_plan(config.architecture, head)
        first, second = jax.random.split(key)
        encoder = (Encoder if isinstance(config, EncoderConfig) else ModernBert).init(first, config)  # type: ignore
        made = init_head(second, config, head, plan, labels, None if classifiers is None else dict(classifiers))
        return cls(encoder=encoder, head=made, head_name=head)

    @classmethod
    def from_arrays(cls, config: AnyConfig, head: str, arrays: Mapping[str, Any]) -> "EncoderModel":
        """A model of given arrays by path, as ``read_weights`` returns them; labels are counted from the arrays.

        Raises:
            InputError: for a missing or unknown path, or another shape, naming it.
        """
        if any(path.endswith(".decoder") for path in arrays) and config.tied:
            config = dataclasses.replace(config, tied=False)
        output = arrays.get("head.output.weight")
        labels = 2 if output is None else output.shape[0]
        prefix, suffix = "head.classifiers.", ".weight"
        classifiers = {
            path.removeprefix(prefix).removesuffix(suffix): array.shape[0]
            for path, array in arrays.items()
            if path.startswith(prefix) and path.endswith(suffix)
        }
        skeleton = jax.eval_shape(
            lambda: cls.init(jax.random.key(0), config, head=head, labels=labels, classifiers=classifiers or None)
        )
        return unflat(skeleton, arrays)

    @property
    def config(self) -> AnyConfig:
        """The encoder's."""
        return self.encoder.config

    @property
    def dtype(self) -> Any:
        """That of the weights."""
        return self.encoder.embeddings.words.dtype

    def separate(self) -> "EncoderModel":
        """The same model with an array per layer, to run texts and not to be saved; see ``Encoder.separate``."""
        return self.replace(encoder=self.encoder.separate()) if isinstance(self.encoder, Encoder) else self

    def stacked(self) -> "EncoderModel":
        """The same model with the arrays of all layers in one, to be saved: the reverse of ``separate``."""
        return self.replace(encoder=self.encoder.stacked()) if isinstance(self.encoder, Encoder) else self

    def states(self, ids: Array, mask: Array | None = None, **inputs: Any) -> Array:
        """The encoder's states [..., time, hidden]; the arguments are those of ``Encoder``."""
        return self.encoder(ids, mask=mask, **inputs)

    def logits(
        self,
        ids: Array,
        mask: Array | None = None,
        *,
        lengths: Array | None = None,
        types: Array | None = None,
        positions: Array | None = None,
        segments: Array | None = None,
        at: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Any:
        """The head's numbers for texts int[..., time].

        Args:
            ids: int[..., time]; for ``multiple-choice`` int[..., choices, time].
            mask: bool or int[..., time], which tokens are real.
            lengths: int[...] instead: how many are, with padding on the right.
            types: int[..., time], token types.
            positions: int[..., time]; by default the architecture's.
            segments: int[..., time], the texts of a packed row; see ``Encoder``.
            at: int[..., n], the places that the head reads: the masked words, or the first tokens of the texts in a
                packed row. By default every token, or the first, as the head does.
            rng: randomness of the dropout, or None for none.
            execution: how the layers run.

        Returns:
            ``states``: [..., time, hidden]. ``pooler``: [..., hidden]. ``masked-words``: [..., time, vocabulary].
            ``next-sentence``, ``sentence-order``, ``sequence-classification``: [..., labels]. ``token-classification``:
            [..., time, labels]. ``question-answering``: [..., time, 2], start and end. ``multiple-choice``:
            [..., choices]. ``replaced-tokens``: [..., time]. ``pretraining``: a dict of ``words`` and each classifier.
            With ``at``, n in the place of the time, or before the last axis.

        Raises:
            InputError: see ``Encoder``.
        """
        how = current_execution(execution)
        inputs = {} if types is None else {"types": types}
        if inputs and isinstance(self.encoder, ModernBert):
            raise InputError("modernbert has no token types; leave `types` out")
        states = self.encoder(
            ids,
            lengths=lengths,
            mask=mask,
            positions=positions,
            segments=segments,
            rng=child(rng, "encoder"),
            execution=how,
            **inputs,
        )
        return self.read(states, real_tokens(ids, lengths, mask, segments), at=at, rng=rng, execution=how)

    def read(
        self,
        states: Array,
        real: Array | None = None,
        *,
        at: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Any:
        """The head's numbers for states [..., time, hidden] that were computed before; see ``logits``.

        Raises:
            InputError: for places where the model has no head.
        """
        how, rng = current_execution(execution), child(rng, "head")
        if self.head is None:
            if at is not None:
                raise InputError("a model without a head reads no places `at`: take them from its states")
            return states
        if isinstance(self.head, Classifier):
            return self.head(states, real, at=at, rng=rng, how=how)
        words = self.encoder.embeddings.words
        if isinstance(self.head, MaskedWords):
            return self.head(states, words, at=at, how=how)
        return self.head(states, words, at=at, rng=rng, how=how)
