"""nn.bert_*, nlp.bert_*: BERT of v0.7.0, whose GELU is the approximation by tanh."""

import jax
import jax.numpy as jnp

from spago.golden import Case
from spago.layers import linear_from, norm_from
from spago.registry import Computation, Params, golden
from spago.shapes import column, columns, sequence, vector
from spago_jax.core import Array
from spago_jax.models.attention import Attention
from spago_jax.models.encoder import Encoder, EncoderConfig
from spago_jax.models.encoder.embeddings import Embeddings
from spago_jax.models.encoder.heads import Classifier, MaskedWords
from spago_jax.models.encoder.layer import Layer
from spago_jax.models.execution import Execution, run_layers
from spago_jax.nn import Linear

EPS = 1e-12
ROUNDED = 1e-6  # spaGO's derivative of GELU has constants of 6 digits


def _config(case: Case, **more) -> EncoderConfig:
    c = case.config
    sizes = {"hidden": c["size"], "layers": c["layers"], "heads": c["heads"], "intermediate": c["intermediate"]}
    return EncoderConfig(**{**sizes, "activation": "gelu_new", "eps": EPS, **more})


def _layer(params: Params, path: str, config: EncoderConfig) -> Layer:
    """spaGO keeps a matrix for each head; ours are the heads' rows one under the other."""

    def joined(part: str) -> Linear:
        heads = [linear_from(params, f"{path}MultiHeadAttention.Attention.{n}.{part}.") for n in range(config.heads)]
        return Linear(
            weight=jnp.concatenate([head.weight for head in heads]), bias=jnp.concatenate([h.bias for h in heads])
        )

    output = linear_from(params, f"{path}MultiHeadAttention.OutputMerge.")
    return Layer(
        attention=Attention(query=joined("Query"), key=joined("Key"), value=joined("Value"), output=output),
        attention_norm=norm_from(params, f"{path}NormAttention.", EPS),
        up=linear_from(params, f"{path}FFN.Layers.0."),
        down=linear_from(params, f"{path}FFN.Layers.2."),
        norm=norm_from(params, f"{path}NormFFN.", EPS),
        config=config,
    )


def _layers(params: Params, path: str, config: EncoderConfig) -> Layer:
    layers = [_layer(params, f"{path}Layers.{row}.", config) for row in range(config.stacked)]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *layers)


def _classifier(params: Params, path: str, **how) -> Classifier:
    return Classifier(dense=None, norm=None, output=linear_from(params, path), **how)


@golden("nn.bert_encoder")
def encoder(case: Case) -> Computation:
    """The layers alone; ALBERT's share their parameters."""
    config = _config(case, groups=1 if "albert" in case.id else 0)

    def function(params, inputs):
        def step(layer: Layer, x: Array, _) -> Array:
            return layer(x)

        ys, _ = run_layers(step, _layers(params, "", config), sequence(inputs), config.order, Execution())
        return columns(ys)

    return Computation(function, gradient_tolerance=ROUNDED)


@golden("nn.bert_classifier")
def classifier(case: Case) -> Computation:
    """One layer on every state."""
    return Computation(lambda params, inputs: columns(_classifier(params, "")(sequence(inputs))))


@golden("nn.bert_spanclassifier")
def span_classifier(case: Case) -> Computation:
    """Start logits of all places, then end logits."""

    def function(params, inputs):
        logits = _classifier(params, "")(sequence(inputs))
        return [*columns(logits[:, 0]), *columns(logits[:, 1])]

    return Computation(function)


@golden("nn.bert_discriminator")
def discriminator(case: Case) -> Computation:
    """The replaced-token head."""

    def function(params, inputs):
        head = Classifier(
            dense=linear_from(params, "Layers.0."),
            norm=None,
            output=linear_from(params, "Layers.2."),
            activation="gelu_new",
            squeezes=True,
        )
        return columns(head(sequence(inputs)))

    return Computation(function, gradient_tolerance=ROUNDED)


def _pooler(params: Params, path: str, pooling: str = "none") -> Classifier:
    return Classifier(dense=linear_from(params, path), norm=None, output=None, activation="tanh", pooling=pooling)


@golden("nn.bert_pooler")
def pooler(case: Case) -> Computation:
    """``tanh(W x + b)`` of each input."""
    return Computation(lambda params, inputs: columns(_pooler(params, "Layers.0.")(sequence(inputs))))


def _predictor(params: Params, path: str) -> MaskedWords:
    return MaskedWords(
        dense=linear_from(params, f"{path}Layers.0."),
        norm=norm_from(params, f"{path}Layers.2.", EPS),
        bias=vector(params[f"{path}Layers.3.B"]),
        decoder=params[f"{path}Layers.3.W"],
        activation="gelu_new",
    )


@golden("nn.bert_predictor")
def predictor(case: Case) -> Computation:
    """The masked-word head, whose decoder is not tied."""

    def function(params, inputs):
        xs = sequence(inputs)
        return columns(_predictor(params, "")(xs, xs))

    return Computation(function, gradient_tolerance=ROUNDED)


def _ids_and_types(case: Case) -> tuple[list[str], Array, Array]:
    """spaGO looks a word up as it is, then in lower case, then as [UNK]; a type counts the [SEP] before."""
    words = sorted(case.extra["words"])
    known = set(words)
    tokens = case.config["tokens"]
    found = [token if token in known else token.lower() if token.lower() in known else "[UNK]" for token in tokens]
    types = [tokens[:place].count("[SEP]") for place in range(len(tokens))]
    return words, jnp.asarray([words.index(word) for word in found]), jnp.asarray(types)


def _embeddings(params: Params, path: str, words: list[str], config: EncoderConfig) -> Embeddings:
    projected = f"{path}Projector.W" in params
    return Embeddings(
        words=jnp.stack([vector(params[f"word {word}"]) for word in words]),
        positions=jnp.stack([vector(params[f"{path}Position.{place}"]) for place in range(config.positions)]),
        types=jnp.stack([vector(params[f"{path}TokenType.{number}"]) for number in range(config.types)]),
        norm=norm_from(params, f"{path}Norm.", EPS),
        projection=linear_from(params, f"{path}Projector.") if projected else None,
        config=config,
    )


def _embedding_config(case: Case, **sizes) -> EncoderConfig:
    c = case.config
    return EncoderConfig(
        **{"layers": 1, "heads": 1, "intermediate": 1, "activation": "gelu_new", "eps": EPS, **sizes},
        vocabulary=len(case.extra["words"]),
        hidden=c["output_size"],
        embedding=c["size"],
        projects=c["size"] != c["output_size"],
        positions=c["max_positions"],
        types=c["token_types"],
        padding=None,
    )


@golden("nlp.bert_embeddings")
def embeddings(case: Case) -> Computation:
    """Words, positions and types; smaller words are projected after the norm."""
    words, ids, types = _ids_and_types(case)
    config = _embedding_config(case)
    return Computation(lambda params, _: columns(_embeddings(params, "", words, config)(ids, types=types)))


@golden("nlp.bert_model")
def model(case: Case) -> Computation:
    """The whole of it, and every head."""
    words, ids, types = _ids_and_types(case)
    c = case.config
    config = _embedding_config(case, layers=c["layers"], heads=c["heads"], intermediate=c["intermediate"])
    masked = [place for place, token in enumerate(c["tokens"]) if token == "[MASK]"]

    def function(params, _):
        whole = Encoder(
            embeddings=_embeddings(params, "Embeddings.", words, config),
            layers=_layers(params, "Encoder.", config),
            relative_bias=None,
            config=config,
        )
        states = whole(ids, types=types)
        pooled = _pooler(params, "Pooler.Layers.0.", "first")(states)
        on_pooled = [_classifier(params, path)(pooled) for path in ("SeqRelationship.", "Classifier.")]
        tagged = _classifier(params, "Classifier.")(states)
        found = [*columns(states), column(pooled), *map(column, on_pooled), *columns(tagged)]
        if masked:
            found += columns(_predictor(params, "Predictor.")(states, states, at=jnp.asarray(masked)))
        return found

    return Computation(function, gradient_tolerance=ROUNDED)
