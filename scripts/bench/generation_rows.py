# SPDX-License-Identifier: BSD-2-Clause
"""Texts from encoder-decoders of random weights, and from a character model: this library beside PyTorch's."""

import copy
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers

from bench.generation_peers import run_of, translators
from bench.measure import Times, interleave
from spago_jax.generation import Generator, Options
from spago_jax.interop.huggingface.generation import make_generator
from spago_jax.models.character_lm import CharacterLM
from spago_jax.models.encoder_decoder import EncoderDecoder, config_from_huggingface, weight_table
from spago_jax.models.quantized import quantized
from spago_jax.models.weight_table import read_weights

TARGET = 64
END = 2
MODELS: dict[str, tuple[str, dict[str, int]]] = {
    "bart": ("BART-base", {"d_model": 768, "heads": 12, "ffn": 3072, "layers": 6, "vocab_size": 50265}),
    "marian": ("Marian", {"d_model": 512, "heads": 8, "ffn": 2048, "layers": 6, "vocab_size": 58101}),
    "tiny": ("tiny BART", {"d_model": 16, "heads": 2, "ffn": 32, "layers": 2, "vocab_size": 99}),
}


@dataclasses.dataclass(frozen=True)
class Work:
    """What is written: so many texts of ``target`` tokens from sources of so many."""

    model: str
    beams: int
    batch: int
    source: int
    target: int = TARGET

    @property
    def title(self) -> str:
        return f"{MODELS[self.model][0]}, {self.batch} x {self.source}, {self.beams} beam{'s' * (self.beams > 1)}"


WORK = {
    f"{model}-{beams}-{batch}x{source}": Work(model, beams, batch, source)
    for model in ("bart", "marian")
    for beams in (1, 4)
    for batch in (1, 16)
    for source in (32, 128)
}
STREAMS = {"characters-1": 1, "characters-64": 64}
SMOKE = {"smoke": Work("tiny", 1, 2, 8, 6), "smoke-beams": Work("tiny", 3, 2, 8, 6)}
GENERATION_ROWS = (*WORK, *STREAMS)
PRECISIONS = ("fp32", "bf16", "int8")
OURS = tuple(f"ours {name}" for name in PRECISIONS)
PEERS = ("PyTorch fp32", "PyTorch bf16", "CTranslate2 fp32", "CTranslate2 int8")


def generation_table(names: list[str], *, rounds: int, clock: Callable[[], float], short: bool) -> Iterator[str]:
    """Yields the lines of the table; ``short`` runs tiny models alone, to see that everything runs."""
    columns = (*PEERS, *OURS)
    yield f"| work | {' | '.join(columns)} | our best / PyTorch fp32 |"
    yield "|---" * (2 + len(columns)) + "|"
    chosen = SMOKE if short else {name: work for name, work in WORK.items() if name in names}
    for kind in dict.fromkeys(work.model for work in chosen.values()):
        theirs = torch_model(kind)
        writers = {precision: our_writer(theirs, precision) for precision in PRECISIONS}
        peers = {"fp32": theirs, "bf16": copy.deepcopy(theirs).bfloat16()}
        with tempfile.TemporaryDirectory() as folder:
            others = {} if short else translators(theirs, Path(folder))
        for work in chosen.values():
            if work.model == kind:
                times = interleave(runs(work, peers, others, writers), rounds=rounds, warmup=1, clock=clock)
                yield row_of(work.title, times)
    for name, streams in STREAMS.items():
        if name in names and not short:
            yield row_of(f"LSTM 512, 65 characters, {streams} x 400", interleave(characters(streams), rounds=rounds))
    if short:
        yield row_of("LSTM 8, 2 x 20", interleave(characters(2, hidden=8, count=20), rounds=rounds))


def row_of(title: str, times: dict[str, Times]) -> str:
    peer = times["PyTorch fp32"].median
    columns = {name: times.get(name) for name in (*PEERS, *OURS)}
    cells = [
        "-" if found is None else f"{1e3 * found.median:.0f} ({found.median / peer:.2f})" for found in columns.values()
    ]
    best = min(found.median for name, found in columns.items() if found is not None and name not in PEERS) / peer
    return f"| {title} | {' | '.join(cells)} | **{best:.2f}** |"


def torch_model(kind: str) -> Any:
    """A model of transformers with random weights."""
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    sizes = MODELS[kind][1]
    config = transformers.AutoConfig.for_model(
        "bart" if kind == "tiny" else kind, vocab_size=sizes["vocab_size"], d_model=sizes["d_model"],
        **{f"{side}_{name}": sizes[key] for side in ("encoder", "decoder")
           for name, key in (("layers", "layers"), ("attention_heads", "heads"), ("ffn_dim", "ffn"))},
        max_position_embeddings=512, pad_token_id=1, eos_token_id=END, decoder_start_token_id=END,
        forced_eos_token_id=None, attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.AutoModelForSeq2SeqLM.from_config(config).eval()


def our_writer(model: Any, precision: str) -> Generator:
    """Ours with the same weights."""
    config = config_from_huggingface({**model.config.to_dict(), "architectures": None}).network
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    found = read_weights(weight_table(config, "words"), list(state), state.__getitem__)
    ours = EncoderDecoder.from_arrays(config, "words", {name: jnp.asarray(a) for name, a in found.arrays.items()})
    if precision == "bf16":
        ours = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), ours)
    if precision == "int8":
        ours = quantized(ours)
    options = Options(eos_token_id=(END,), pad_token_id=1, decoder_start_token_id=END)
    return make_generator(ours, options)


def runs(
    work: Work, peers: dict[str, Any], others: dict[str, Any], writers: dict[str, Generator]
) -> dict[str, Callable[[], object]]:
    """Each way by name; all write as many tokens, since nothing ends a text before."""
    ids = np.random.default_rng(0).integers(4, 99, (work.batch, work.source))
    options = {"num_beams": work.beams, "max_new_tokens": work.target, "min_new_tokens": work.target}
    given = torch.from_numpy(ids)
    mask = torch.ones_like(given)

    def theirs(model: Any) -> Callable[[], object]:
        def run() -> Any:
            with torch.inference_mode():
                found = model.generate(given, attention_mask=mask, **options)
            assert found.shape[1] == work.target + 1
            return found

        return run

    def ours(writer: Generator) -> Callable[[], object]:
        def run() -> Any:
            found = writer.generate(ids, **options)
            assert found.ids.shape[1] == work.target + 1
            return found

        return run

    found = {f"PyTorch {name}": theirs(model) for name, model in peers.items()}
    for name, translator in others.items():
        found[f"CTranslate2 {name}"] = run_of(translator, ids, beams=work.beams, target=work.target)
    return found | {f"ours {name}": ours(writer) for name, writer in writers.items()}


def characters(streams: int, *, hidden: int = 512, count: int = 400) -> dict[str, Callable[[], object]]:
    """Sampled with a temperature, one loop on the device beside PyTorch's loop of steps."""
    torch.manual_seed(0)
    alphabet, size = 65, 64
    embedding, decoder = torch.nn.Embedding(alphabet, size), torch.nn.Linear(hidden, alphabet)
    lstm = torch.nn.LSTM(size, hidden, batch_first=True)
    prompt = torch.zeros(streams, 1, dtype=torch.long)

    def theirs() -> Any:
        ids, state, found = prompt, None, []
        with torch.inference_mode():
            for _ in range(count):
                ys, state = lstm(embedding(ids), state)
                ids = torch.multinomial(torch.softmax(decoder(ys[:, 0]) / 0.8, -1), 1)
                found.append(ids)
        return torch.cat(found, 1)

    writer = Generator(CharacterLM.init(jax.random.key(0), alphabet, embedding=size, hidden=hidden))
    half = Generator(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), writer.model))

    def ours(writer: Generator) -> Callable[[], object]:
        return lambda: writer.generate(
            np.zeros((streams, 1), int), do_sample=True, temperature=0.8, top_k=0, max_new_tokens=count
        )

    return {"PyTorch fp32": theirs, "ours fp32": ours(writer), "ours bf16": ours(half)}
