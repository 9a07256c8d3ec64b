"""Tiny random encoder-decoders of transformers, and ours with their weights: the oracle of the encoder-decoders."""

from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from encoder_oracle import Pair

from spago_jax.core import flat
from spago_jax.models.encoder_decoder import EncoderDecoder, config_from_huggingface, weight_table
from spago_jax.models.encoder_decoder.plans import PLANS
from spago_jax.models.weight_table import read_weights, write_weights

PAIRS = [(architecture, head) for architecture, plans in PLANS.items() for head in plans]
ACTIVATIONS = ("gelu", "relu", "silu", "tanh", "gelu_new", "quick_gelu")
TIME, TARGET = 7, 5


def random_config(architecture: str, head: str, seed: int) -> dict[str, Any]:
    """The keys of a tiny config; seed 0 is plain, others vary what can vary."""
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))] if seed else values[0]  # noqa: E731
    heads = int(pick(2, 1, 3))
    size = 2 * heads * int(pick(2, 1, 3))
    layers, decoder_layers, inner = int(pick(2, 3, 1)), int(pick(2, 1, 3)), int(pick(12, 7))
    vocabulary = int(pick(23, 31, 17))
    if architecture in ("t5", "mt5"):
        buckets = int(pick(8, 32, 6))
        return {
            "vocab_size": vocabulary, "d_model": int(pick(8, 6)), "d_kv": int(pick(4, 3)), "d_ff": inner,
            "num_layers": layers, "num_decoder_layers": decoder_layers, "num_heads": heads,
            "relative_attention_num_buckets": buckets,
            "relative_attention_max_distance": 128 if buckets == 32 else int(pick(16, 9)),
            "feed_forward_proj": pick("relu", "gated-gelu", "gated-silu", "gelu"),
            "layer_norm_epsilon": float(pick(1e-6, 1e-3)), "decoder_start_token_id": 0,
            "tie_word_embeddings": bool(pick(True, False)),
        }  # fmt: skip
    found = {
        "vocab_size": vocabulary, "d_model": size, "encoder_layers": layers, "decoder_layers": decoder_layers,
        "encoder_attention_heads": heads, "decoder_attention_heads": int(pick(heads, 1, 2)), "encoder_ffn_dim": inner,
        "decoder_ffn_dim": int(pick(12, 9)), "max_position_embeddings": 12, "activation_function": pick(*ACTIVATIONS),
        "scale_embedding": bool(pick(True, False)), "pad_token_id": int(pick(1, 0)), "eos_token_id": 2,
        "bos_token_id": 0, "decoder_start_token_id": int(pick(2, 3)),
    }  # fmt: skip
    if architecture == "marian":
        found["share_encoder_decoder_embeddings"] = bool(pick(True, False))
        if not found["share_encoder_decoder_embeddings"]:
            found["decoder_vocab_size"] = int(pick(19, 29))
    if head in ("words", "states") and architecture != "marian":
        found["tie_word_embeddings"] = bool(pick(True, True, False))
    if head == "sequence-classification":
        found["num_labels"] = int(pick(3, 1, 2, 5))
    if head == "question-answering":
        found["num_labels"] = 2
    return found


def transformers_model(architecture: str, head: str, keys: dict[str, Any], seed: int = 0, std: float = 0.4) -> Any:
    """A tiny random model of transformers in evaluation mode."""
    import torch
    import transformers
    from transformers import AutoConfig

    config = AutoConfig.for_model(architecture, **keys)
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = getattr(transformers, PLANS[architecture][head].class_name)(config).eval()
    for parameter in model.parameters():  # biases and gains too
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=std)
    if hasattr(model, "final_logits_bias"):
        torch.nn.init.normal_(model.final_logits_bias, std=std)
    return model


def saved_state(model: Any) -> dict[str, np.ndarray]:
    """The state as transformers saves it: one member of each tied group."""
    shared: dict[int, str] = {}
    for name, value in model.state_dict().items():
        shared.setdefault(value.data_ptr(), name)
    return {name: model.state_dict()[name].numpy() for name in shared.values()}


def make(architecture: str, head: str, seed: int = 0, *, double: bool = True, **batch: Any) -> Pair:
    """A random model of transformers in float64 or float32, ours, and a ragged batch."""
    keys = random_config(architecture, head, seed)
    model = transformers_model(architecture, head, keys, seed)
    model = model.double() if double else model.float()
    given = {**model.config.to_dict(), "architectures": [PLANS[architecture][head].class_name]}
    config = config_from_huggingface(given)
    table = weight_table(config.network, head)
    state = saved_state(model)
    found = read_weights(table, state, state.__getitem__)
    assert found.missing == ()
    assert found.surplus == ()
    ours = EncoderDecoder.from_arrays(config.network, head, found.arrays)
    return Pair(model, ours, table, head, random_batch(keys, architecture, head, seed, **batch), given)


def random_batch(
    keys: dict[str, Any], architecture: str, head: str, seed: int, *, left: bool | None = None
) -> dict[str, np.ndarray]:
    """Ids with padding on the right (on the left for every third seed), the mask, and what the decoder reads."""
    rng = np.random.default_rng(seed + 100)
    pad = keys.get("pad_token_id", 0)
    ids = rng.integers(3, keys["vocab_size"], (3, TIME))
    lengths = rng.integers(2, TIME + 1, 3)
    lengths[0] = TIME
    mask = np.arange(TIME) < lengths[:, None]
    reads_source = head in ("sequence-classification", "question-answering")
    if (seed % 3 == 2 if left is None else left) and not reads_source:  # mBART of transformers takes a wrong token then
        mask = mask[:, ::-1].copy()
    ids[~mask] = pad
    if reads_source:
        ids[np.arange(3), lengths - 1] = 2
        return {"ids": ids, "mask": mask}
    top = keys["vocab_size"] if keys.get("share_encoder_decoder_embeddings", True) else keys["decoder_vocab_size"]
    return {"ids": ids, "mask": mask, "targets": rng.integers(3, top, (3, TARGET))}


def theirs(pair: Pair) -> Any:
    """The output of transformers as ours is laid out, a tensor with gradients."""
    import torch

    batch = {name: torch.tensor(value) for name, value in pair.batch.items()}
    inputs = {"input_ids": batch["ids"], "attention_mask": batch["mask"].long(), "use_cache": False}
    if "targets" in batch:
        inputs["decoder_input_ids"] = batch["targets"]
    with exact_norms():
        out = pair.theirs(**inputs)
    if pair.head == "states":
        return out.last_hidden_state
    if pair.head == "question-answering":
        return torch.stack([out.start_logits, out.end_logits], -1)
    return out.logits


def logits_of(model: EncoderDecoder, batch: dict[str, Any]) -> jax.Array:
    return model.logits(batch["ids"], batch["mask"], targets=batch.get("targets"))


run = jax.jit(logits_of)


def compare(pair: Pair, seed: int, *, atol: float, gradients: float | None = None) -> None:
    """Holds the output, and the gradients of a weighted sum of it, against those of transformers."""
    import torch

    expected = theirs(pair)
    batch = {name: jnp.asarray(value) for name, value in pair.batch.items()}
    if gradients is None:
        np.testing.assert_allclose(run(pair.ours, batch), expected.detach().numpy(), atol=atol, rtol=atol)
        return
    weights = np.random.default_rng(seed + 200).normal(size=tuple(expected.shape))

    def loss(model: EncoderDecoder):
        found = logits_of(model, batch)
        return (found * weights).sum(), found

    (_, got), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))(pair.ours)
    np.testing.assert_allclose(got, expected.detach().numpy(), atol=atol, rtol=atol)
    (expected * torch.tensor(weights, dtype=expected.dtype)).sum().backward()
    parameters = dict(pair.theirs.named_parameters(remove_duplicate=False))
    for name, slope in write_weights(pair.table, flat(slopes)):
        # The bias of the words is no parameter, and sinusoids are not trained.
        if name not in parameters or not parameters[name].requires_grad:
            continue
        wanted = parameters[name].grad
        wanted = np.zeros(slope.shape) if wanted is None else wanted.numpy()
        scale = max(np.abs(wanted).max(), 1.0)
        np.testing.assert_allclose(slope, wanted, atol=gradients * scale, rtol=gradients, err_msg=name)


@contextmanager
def exact_norms():
    """Lets T5 of transformers take the mean of squares in float64, which it rounds to float32 otherwise."""
    from transformers.models.mt5.modeling_mt5 import MT5LayerNorm
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    def forward(self, x):
        return self.weight * (x * (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).rsqrt())

    kept = {kind: kind.forward for kind in (T5LayerNorm, MT5LayerNorm)}
    for kind in kept:
        kind.forward = forward
    try:
        yield
    finally:
        for kind, own in kept.items():
            kind.forward = own
