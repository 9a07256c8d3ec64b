"""Tiny random models of transformers, and ours with their weights: the oracle of the encoders."""

import dataclasses
import warnings
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import flat
from spago_jax.models.encoder import EncoderModel, config_from_huggingface, weight_table
from spago_jax.models.encoder.plans import PLANS
from spago_jax.models.weight_table import read_weights, write_weights

PAIRS = [
    (architecture, head)
    for architecture, plans in PLANS.items()
    for head in plans
    if head != "sentence-order"  # a part of ALBERT's pretraining
]
ACTIVATIONS = ("gelu", "relu", "gelu_new", "silu", "tanh", "quick_gelu", "gelu_10", "relu2", "gelu_fast", "mish")


@dataclasses.dataclass
class Pair:
    """A model of transformers, ours with the same weights, and a batch."""

    theirs: Any
    ours: Any
    table: Any
    head: str
    batch: dict[str, np.ndarray]
    given: dict[str, Any]


def random_config(architecture: str, head: str, seed: int) -> dict[str, Any]:
    """The keys of a tiny config; seed 0 is plain, others vary what can vary."""
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))] if seed else values[0]  # noqa: E731
    heads = int(pick(2, 1, 3))
    size = heads * int(pick(4, 2, 6))
    common = {
        "vocab_size": int(pick(23, 31, 17)),
        "initializer_range": 0.3,
        "pad_token_id": int(pick(1, 0, 2)),
        "tie_word_embeddings": bool(pick(True, True, False)) if head in ("masked-words", "pretraining") else True,
    }
    labels = int(pick(3, 1, 2, 5))
    if head == "question-answering":
        labels = 2
    common["num_labels"] = labels
    acts = pick(*ACTIVATIONS)
    layers, inner = int(pick(2, 3, 1)), int(pick(12, 7))
    if architecture == "distilbert":
        return {
            **common,
            "dim": size,
            "n_layers": layers,
            "n_heads": heads,
            "hidden_dim": inner,
            "activation": acts,
            "max_position_embeddings": 12,
            "sinusoidal_pos_embds": bool(pick(False, True)),
        }
    common |= {
        "hidden_size": size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }
    if architecture == "modernbert":
        size = heads * int(pick(4, 2, 8))
        return {
            **common,
            "hidden_size": size,
            "hidden_activation": acts,
            "num_hidden_layers": layers if not seed else int(pick(4, 1, 2, 5)),
            "local_attention": int(pick(4, 2, 3, 8)),
            "norm_bias": bool(pick(False, True)),
            "attention_bias": bool(pick(False, True)),
            "mlp_bias": bool(pick(False, True)),
            "decoder_bias": bool(pick(True, False)),
            "classifier_bias": bool(pick(False, True)),
            "classifier_pooling": pick("cls", "mean"),
            "classifier_activation": pick("gelu", "silu", "relu"),
            "norm_eps": float(pick(1e-5, 1e-12, 1e-3)),
            "global_attn_every_n_layers": int(pick(3, 1, 2)),
            "global_rope_theta": float(pick(160_000.0, 500.0)),
            "local_rope_theta": float(pick(10_000.0, 50.0)),
            "cls_token_id": 3,
            "sep_token_id": 4,
            "bos_token_id": 3,
            "eos_token_id": 4,
        }
    common |= {
        "hidden_act": acts,
        "max_position_embeddings": 14,
        "layer_norm_eps": float(pick(1e-12, 1e-5, 1e-3)),
    }
    if architecture == "mpnet":
        return {**common, "pad_token_id": 1}
    common["type_vocab_size"] = int(pick(2, 1, 3))
    if architecture == "electra":
        common["embedding_size"] = int(pick(5, size, 3))
        common["summary_activation"] = pick("gelu", "tanh")
    if architecture == "albert":
        groups = int(pick(1, 2)) if layers > 1 else 1
        common |= {"embedding_size": int(pick(5, size, 3)), "num_hidden_groups": groups}
        common |= {"inner_group_num": int(pick(1, 2)), "classifier_dropout_prob": 0.1}
    return common


def make(architecture: str, head: str, seed: int = 0, *, double: bool = True, left: bool | None = None) -> Pair:
    """A random model of transformers in float64 or float32, ours, and a ragged batch."""
    import torch
    import transformers
    from transformers import AutoConfig

    keys = random_config(architecture, head, seed)
    config = AutoConfig.for_model(architecture, **keys)
    # Without it ModernBERT takes its softmax in float32, and MPNet does not know it.
    config._attn_implementation = "sdpa" if architecture == "modernbert" else "eager"
    torch.manual_seed(seed)
    plan = PLANS[architecture][head]
    kind = getattr(transformers, plan.class_name)
    options = {"add_pooling_layer": head == "pooler"} if "pooler" in PLANS[architecture] else {}
    model = kind(config, **(options if head in ("states", "pooler") else {}))
    for parameter in model.parameters():  # biases and gains too
        torch.nn.init.normal_(parameter, std=0.4)
    model = (model.double() if double else model.float()).eval()
    given = {**config.to_dict(), "architectures": [plan.class_name]}
    ours_config = config_from_huggingface(given)
    table = weight_table(ours_config.encoder, head)
    state = {name: value.numpy() for name, value in saved_state(model).items()}
    found = read_weights(table, state, state.__getitem__)
    assert found.missing == ()
    assert found.surplus == ()
    ours = EncoderModel.from_arrays(ours_config.encoder, head, found.arrays)
    return Pair(model, ours, table, head, random_batch(keys, head, seed, left), given)


def saved_state(model: Any) -> dict[str, Any]:
    """The state as transformers saves it: one member of each tied group."""
    tied = model.all_tied_weights_keys if model.config.tie_word_embeddings else {}
    return {name: value for name, value in model.state_dict().items() if name not in tied}


def random_batch(keys: dict, head: str, seed: int, left: bool | None = None) -> dict[str, np.ndarray]:
    """Ids with padding on the right (on the left for every third seed), the mask, token types where there are any."""
    rng = np.random.default_rng(seed + 100)
    shape = (2, 3, 7) if head == "multiple-choice" else (3, 7)
    ids = rng.integers(3, keys["vocab_size"], shape)
    lengths = rng.integers(2, 8, shape[:-1])
    lengths.reshape(-1)[0] = 7
    mask = np.arange(7) < lengths[..., None]
    if seed % 3 == 2 if left is None else left:
        mask = mask[..., ::-1].copy()
    ids[~mask] = keys["pad_token_id"]
    if seed % 4 == 3:
        ids[..., 1] = keys["pad_token_id"]  # a literal pad within a text
    batch = {"ids": ids, "mask": mask}
    if keys.get("type_vocab_size"):
        batch["types"] = rng.integers(0, keys["type_vocab_size"], shape)
    return batch


def theirs(pair: Pair) -> dict[str, Any]:
    """The outputs of transformers as ours name them, as tensors with gradients."""
    import torch

    batch = {name: torch.tensor(value) for name, value in pair.batch.items()}
    inputs = {"input_ids": batch["ids"], "attention_mask": batch["mask"].long()}
    if "types" in batch:
        inputs["token_type_ids"] = batch["types"]
    with exact_rotations():
        out = pair.theirs(**inputs)
    if pair.head == "states":
        return {"": out.last_hidden_state}
    if pair.head == "pooler":
        return {"": out.pooler_output}
    if pair.head == "question-answering":
        return {"": torch.stack([out.start_logits, out.end_logits], -1)}
    if pair.head == "pretraining":
        other = getattr(out, "seq_relationship_logits", None)
        name, other = ("seq_relationship", other) if other is not None else ("sentence_order", out.sop_logits)
        return {"words": out.prediction_logits, name: other}
    return {"": out.logits}


def ours_of(model: EncoderModel, batch: dict[str, Any], **how: Any) -> dict[str, jax.Array]:
    """Our outputs by the same names."""
    logits = model.logits(batch["ids"], batch["mask"], types=batch.get("types"), **how)
    return logits if isinstance(logits, dict) else {"": logits}


def cotangents(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed + 200)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def compare(pair: Pair, seed: int, *, atol: float, gradients: float | None = None) -> None:
    """Holds the outputs, and the gradients of a weighted sum of them, against those of transformers."""
    import torch

    expected = theirs(pair)
    weights = cotangents({name: tuple(value.shape) for name, value in expected.items()}, seed)
    batch = {name: jnp.asarray(value) for name, value in pair.batch.items()}

    def loss(model: EncoderModel):
        found = ours_of(model, batch)
        return sum((found[name] * weights[name]).sum() for name in weights), found

    if gradients is None:
        got, slopes = jax.jit(loss)(pair.ours)[1], None
    else:
        (_, got), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))(pair.ours)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value.detach().numpy(), atol=atol, rtol=atol, err_msg=name)
    if slopes is None:
        return
    total = sum((value * torch.tensor(weights[name], dtype=value.dtype)).sum() for name, value in expected.items())
    total.backward()
    parameters = dict(pair.theirs.named_parameters(remove_duplicate=False))
    for name, slope in write_weights(pair.table, flat(slopes)):
        wanted = parameters[name].grad
        wanted = np.zeros(slope.shape) if wanted is None else wanted.numpy()
        scale = max(np.abs(wanted).max(), 1.0)
        np.testing.assert_allclose(slope, wanted, atol=gradients * scale, rtol=gradients, err_msg=name)


@contextmanager
def exact_rotations():
    """Lets ModernBERT of transformers turn queries and keys in float64, which it rounds to float32 otherwise."""
    import torch
    from transformers.models.modernbert import modeling_modernbert as module

    def forward(self, x, position_ids, layer_type):
        theta = self.config.rope_parameters[layer_type]["rope_theta"]
        size = self.config.hidden_size // self.config.num_attention_heads
        turns = theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        angles = position_ids[..., None].double() * turns
        angles = torch.cat((angles, angles), -1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)

    def apply(q, k, cos, sin, unsqueeze_dim=1):
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return q * cos + module.rotate_half(q) * sin, k * cos + module.rotate_half(k) * sin

    kept = module.ModernBertRotaryEmbedding.forward, module.apply_rotary_pos_emb
    module.ModernBertRotaryEmbedding.forward, module.apply_rotary_pos_emb = forward, apply
    try:
        with warnings.catch_warnings():
            yield
    finally:
        module.ModernBertRotaryEmbedding.forward, module.apply_rotary_pos_emb = kept
