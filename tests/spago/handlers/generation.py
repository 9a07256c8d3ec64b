"""nlp.beam_search, nlp.bart_*, nlp.charlm, nlp.contextual_*: what spaGO v0.7.0 writes and reads, token for token."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.handlers.bart import config_of, stack_of
from spago.layers import linear_from
from spago.registry import Comparison, Computation, golden
from spago.shapes import columns
from spago_jax.core import Array, Module, static
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.embeddings.contextual import ContextualEmbedding
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.language_model import CharacterReader
from spago_jax.generation import Generator
from spago_jax.models.character_lm import CharacterLM
from spago_jax.models.encoder_decoder import EncoderDecoder
from spago_jax.models.encoder_decoder.model import WordsHead
from spago_jax.nn import LSTM, Embedding, StackedRNN
from spago_jax.ops.losses import cross_entropy


class State(NamedTuple):
    """How many tokens were read."""

    length: Array


class Toy(Module):
    """``logits(text) = table[last token]``, with 0.5 more for the token ``len(text) % vocabulary``; never the pad."""

    table: Array
    pad: int = static()

    def start(self, ids: Array, mask: Array | None = None, *, beams: int, length: int) -> State:
        return State(jnp.int32(0))

    def step(self, ids: Array, state: State) -> tuple[Array, State]:
        length, places = state.length + 1, jnp.arange(self.table.shape[1])
        logits = self.table[ids] + jnp.where(places == length % self.table.shape[1], 0.5, 0.0)
        return jnp.where(places == self.pad, -jnp.inf, logits), State(length)

    def reorder(self, state: State, parents: Array) -> State:
        return state


def options_of(config: dict[str, Any]) -> dict[str, Any]:
    """spaGO's settings by transformers' names. It lets only the end follow at the last place, before the softmax."""
    return {
        "max_length": config["max_length"], "min_length": config.get("min_length", 0),
        "num_beams": config["num_beams"], "length_penalty": float(config.get("length_penalty", 1)),
        "early_stopping": config.get("early_stopping", False) if config["num_beams"] > 1 else False,
        "bad_words_ids": config["bad_words_ids"] or (), "eos_token_id": config["eos"], "pad_token_id": config["pad"],
        "forced_eos_token_id": config["eos"],
        "decoder_start_token_id": config.get("start", config.get("decoder_start")),
    }  # fmt: skip


@functools.cache
def writer(kind: str) -> Generator:
    """Its programs serve the models of all cases, which are alike in their shapes."""
    return Generator(Toy(jnp.zeros((2, 2)), 1))


def written(model: Any, ids: list[int], case: Case) -> np.ndarray:
    """What our loop writes, with the start and the end."""
    shared = writer(f"{case.file} {case.id.split('/')[0] if '/' in case.id else ''}")
    shared.model = model
    shared.__dict__.pop("vocabulary", None)
    found = shared.generate([ids], **options_of(case.config))
    return found.ids[0, : found.lengths[0]].astype(np.float64)


@golden("nlp.beam_search")
def beam_search(case: Case) -> Iterator[Comparison]:
    """Against the texts that spaGO writes once its ``findWorst`` is corrected: as it stands, it goes one place beside
    the worst hypothesis, and drops a better one."""
    config = case.config
    model = Toy(jnp.asarray(config["table"]), config["pad"])
    yield "text", written(model, [0], case), np.array(case.extra["generated_fixed"], np.float64)


def bart_of(case: Case, head: WordsHead | None = None) -> EncoderDecoder:
    """spaGO's BART; words are a table of their own, whatever the head has."""
    config = dataclasses.replace(config_of(case), scales_embeddings=case.config["scale_embedding"], tied=head is None)
    params = {name: jnp.asarray(array) for name, array in case.params.items()}
    embeddings = case.extra["embeddings"]
    return EncoderDecoder(
        source_words=jnp.asarray([embeddings[str(token)] for token in range(len(embeddings))]),
        target_words=None,
        encoder=stack_of(params, "BART.Encoder.", config, decodes=False),
        decoder=stack_of(params, "BART.Decoder.", config, decodes=True),
        head=head,
        head_name="states" if head is None else "words",
    )


@golden("nlp.bart_conditional_generation")
def conditional_generation(case: Case) -> Iterator[Comparison]:
    """The logits after every prefix, step by step, and the text that the beam search writes, without the pad."""
    config = case.config
    weight, bias = case.params["Projection.W"], case.params["Projection.B"].ravel()
    model = bart_of(case, WordsHead(bias=jnp.asarray(bias[None]), decoder=jnp.asarray(weight)))
    state = model.start(jnp.asarray([config["input_ids"]]), beams=1, length=len(config["decoder_ids"]))
    for place, (token, expected) in enumerate(zip(config["decoder_ids"], case.outputs, strict=True)):
        logits, state = model.step(jnp.asarray([[token]]), state)
        yield f"output {place}", logits[0, 0].reshape(-1, 1), expected
    bias = np.where(np.arange(len(bias)) == config["pad"], -np.inf, bias)
    without_pad = model.replace(head=model.head.replace(bias=jnp.asarray(bias[None])))
    yield "text", written(without_pad, config["input_ids"], case), np.array(case.extra["generated_fixed"], np.float64)


@golden("nlp.bart_sequence_classification")
def sequence_classification(case: Case) -> Iterator[Comparison]:
    """The last state of a decoder that reads the source, with its last token moved to the front."""
    model, ids = bart_of(case), np.array(case.config["input_ids"])
    states = model.decode(jnp.asarray(np.roll(ids, 1)[None]), model.encode(jnp.asarray(ids[None])))
    params = {name: jnp.asarray(array) for name, array in case.params.items()}
    dense, output = (linear_from(params, f"Classifier.Layers.{place}.") for place in (0, 2))
    yield "output 0", output(jnp.tanh(dense(states[0, -1]))).reshape(-1, 1), case.outputs[0]


def character_lm_of(params: Mapping[str, Any], vocabulary: int, *, projection: bool) -> CharacterLM:
    """The model of a case's parameters."""
    rows = [params[f"Embeddings.{row}"].ravel() for row in range(vocabulary) if f"Embeddings.{row}" in params]
    gates = ("In", "For", "Cand", "Out")
    cell = LSTM(
        input_weight=jnp.concatenate([params[f"RNN.W{gate}"] for gate in gates]),
        recurrent_weight=jnp.concatenate([params[f"RNN.W{gate}Rec"] for gate in gates]),
        bias=jnp.concatenate([params[f"RNN.B{gate}"].ravel() for gate in gates]),
    )
    return CharacterLM(
        embedding=Embedding(weight=jnp.stack(rows)),
        rnn=StackedRNN(layers=(cell,)),
        projection=linear_from(params, "Projection.") if projection else None,
        decoder=linear_from(params, "Decoder."),
    )


@golden("nlp.charlm")
def character_lm(case: Case) -> Computation:
    """The logits after every character; one that the vocabulary lacks is read as the unknown one."""
    vocabulary, unknown = case.config["vocabulary"], case.config["unknown"]
    ids = jnp.asarray([vocabulary.index(char if char in vocabulary else unknown) for char in case.config["text"]])

    def function(params, inputs):
        model = character_lm_of(params, len(vocabulary), projection=bool(case.config["output_size"]))
        return columns(model(ids)[0])

    return Computation(function)


@golden("nlp.contextual_string_embeddings")
def contextual_string_embeddings(case: Case) -> Computation:
    """The vectors of the words of a sentence; spaGO computes them without the projection of its language models."""
    vocabulary, words = case.config["vocabulary"], case.config["words"]
    model = {"alphabet": vocabulary, "unknown": vocabulary.index("[UNK]"), "shape": {}}
    indexer = ContextualIndexer("strings", {"forward": model, "backward": model})
    lexicon = LexiconBuilder()
    forms = lexicon.encode(words)
    tables = indexer.tables(lexicon.build())
    length = max(4, len(words))  # padded, as in a batch
    padded = np.full((1, length), -1)
    padded[0, : len(words)] = forms
    batch = {name: jnp.asarray(array) for name, array in indexer.arrays(tables, padded, length).items()}

    def function(params, inputs):
        readers = {}
        for side, prefix in (("forward", "LeftToRight."), ("backward", "RightToLeft.")):
            own = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
            model = character_lm_of(own, len(vocabulary), projection=False)
            readers[side] = CharacterReader(embedding=model.embedding, rnn=model.rnn, projection=None)
        embedding = ContextualEmbedding(**readers, name="strings", merge=case.config["merge"], fine_tune=True)
        return columns(embedding(batch)[0, : len(words)])

    return Computation(function)


@golden("nlp.charlm_tbptt")
def truncated_back_propagation(case: Case) -> Computation:
    """The mean cross-entropy of a chunk, whose gradients go back so many characters: the state before them, and the
    losses before them, are constants, as at the border of two chunks of a text."""
    vocabulary = case.config["vocabulary"]
    ids = jnp.asarray([[vocabulary.index(char) for char in case.config["chars"]]])
    cut = ids.shape[1] - case.config["back_step"]

    def function(params, inputs):
        model = character_lm_of(params, len(vocabulary), projection=False)  # it is held and not used
        before, state = model(ids[:, :cut], state=model.initial_state((1,)))
        after, _ = model(ids[:, cut:], state=jax.lax.stop_gradient(state))
        logits = jnp.concatenate([jax.lax.stop_gradient(before), after], axis=1)[:, :-1]
        return [cross_entropy(logits, ids[:, 1:]).mean().reshape(1, 1)]

    return Computation(function)
