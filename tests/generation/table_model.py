"""A language model of a few tables, ours and as a model of transformers: for tests of the loops alone."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Module


class State(NamedTuple):
    """What the source adds to all logits [batch, vocabulary], and a memory of the tokens [batch, beams, features]."""

    bias: Array
    memory: Array


class TableLM(Module):
    """``logits = next[last token] + decode memory + mean of source[id]``, where memory halves with every token."""

    next: Array
    embed: Array
    decode: Array
    source: Array

    @classmethod
    def random(cls, vocabulary: int, seed: int = 0, *, features: int = 4, scale: float = 2.0) -> "TableLM":
        draw = np.random.default_rng(seed).normal
        shapes = (vocabulary, vocabulary), (vocabulary, features), (features, vocabulary), (vocabulary, vocabulary)
        return cls(*(jnp.asarray(scale * draw(size=shape), jnp.float32) for shape in shapes))

    def start(self, ids: Array, mask: Array | None = None, *, beams: int, length: int) -> State:
        there = jnp.ones(ids.shape, bool) if mask is None else mask
        total = jnp.where(there[..., None], self.source[ids], 0.0).sum(1)
        bias = total / jnp.maximum(there.sum(-1, keepdims=True), 1)
        return State(bias, jnp.zeros((ids.shape[0], beams, self.embed.shape[1])))

    def step(self, ids: Array, state: State) -> tuple[Array, State]:
        memory = 0.5 * state.memory + self.embed[ids]
        return self.next[ids] + memory @ self.decode + state.bias[:, None], State(state.bias, memory)

    def reorder(self, state: State, parents: Array) -> State:
        return State(state.bias, jnp.take_along_axis(state.memory, parents[..., None], axis=1))


def twin(model: TableLM, **settings: Any) -> Any:
    """The same model for transformers' ``generate``."""
    import torch
    import transformers
    from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

    class Config(transformers.PreTrainedConfig):
        model_type = "table"

    class Encoder(torch.nn.Module):
        main_input_name = "input_ids"

        def __init__(self, source: torch.Tensor):
            super().__init__()
            self.source = source

        def forward(self, input_ids, attention_mask=None, **kwargs):
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            total = (self.source[input_ids] * mask[..., None]).sum(1, keepdim=True)
            return BaseModelOutput(last_hidden_state=total / mask.sum(-1)[:, None, None])

    class Twin(transformers.PreTrainedModel, transformers.GenerationMixin):
        config_class = Config
        main_input_name = "input_ids"
        _supports_cache_class = False

        def __init__(self, config):
            super().__init__(config)
            self.tables = {name: torch.tensor(np.asarray(getattr(model, name))) for name in ("next", "embed", "decode")}
            self.encoder = Encoder(torch.tensor(np.asarray(model.source)))
            self.place = torch.nn.Parameter(torch.zeros(1))  # where the model lies
            self.post_init()

        def get_encoder(self, *args, **kwargs):
            return self.encoder

        def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, **kwargs):
            return {"decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs}

        def forward(self, decoder_input_ids=None, encoder_outputs=None, input_ids=None, attention_mask=None, **kwargs):
            tables, memory = self.tables, 0.0
            for token in decoder_input_ids.unbind(1):
                memory = 0.5 * memory + tables["embed"][token]
            logits = tables["next"][decoder_input_ids[:, -1]] + memory @ tables["decode"]
            return Seq2SeqLMOutput(logits=(logits + encoder_outputs.last_hidden_state[:, 0])[:, None])

    transformers.logging.set_verbosity_error()
    vocabulary = model.next.shape[0]
    return Twin(Config(vocab_size=vocabulary, is_encoder_decoder=True, **settings)).eval()


def rows(found: Any, start: int, ends: Any, pad: int) -> list[list[int]]:
    """Texts up to and with their first end, without the prompt and the padding."""
    texts = []
    for row in np.asarray(found)[:, start:].tolist():
        stop = next((place for place, token in enumerate(row) if token in ends), None)
        if stop is None:
            while row and row[-1] == pad:
                row.pop()
        texts.append(row if stop is None else row[: stop + 1])
    return texts
