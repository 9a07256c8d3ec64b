"""Several processes read a batch: each makes the arrays of its rows alone, and they are those of the whole batch."""

import dataclasses

import numpy as np
import pytest

from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.start import prepare

PAIRS = {
    "task": "text2text-generation",
    "name": "pairs",
    "data": {"format": "strings", "rule": "reverse", "longest": 6, "train_examples": 40, "eval_examples": 8},
    "model": {
        "config": {"model_type": "marian", "d_model": 8, "encoder_layers": 1, "decoder_layers": 1,
                   "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8,
                   "decoder_ffn_dim": 8, "max_position_embeddings": 32},
        "tokenizer": {"kind": "characters", "size": 40},
    },
    "optimizer": {"name": "adam"},
    "train": {"batch_size": 8, "max_length": 12, "buckets": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """Texts whose pieces are masked at random."""
    from spago_jax.text.tokenizers import train_tokenizer

    folder = tmp_path_factory.mktemp("masked")
    lines = [
        f"the {word} dog sees {place} ." for word in ("old", "red", "big") for place in ("rome", "oslo", "lima")
    ] * 4
    (folder / "texts.txt").write_text("\n".join(lines))
    train_tokenizer(lines, kind="wordpiece", size=60, min_count=1, marks="both").save(folder / "tokenizer")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return {
        "task": "fill-mask",
        "name": "masked",
        "data": {"format": "text", "train": str(folder / "texts.txt"), "dev_fraction": 0.2},
        "model": {"tokenizer": str(folder / "tokenizer"), "config": {"model_type": "bert", **sizes}},
        "optimizer": {"name": "adam"},
        "train": {"batch_size": 8, "max_length": 16, "text": "line"},
    }


@pytest.mark.parametrize("kind", ["tiny", "letters", "images", "moods-cnn", "moods-mean", "pairs", "masked"])
def test_a_share_of_a_batch_is_that_part_of_the_whole(corpus, request, kind):
    made = {"pairs": PAIRS}.get(kind) or (request.getfixturevalue("masked") if kind == "masked" else None)
    task, _ = prepare(load_experiment(made or corpus / f"{kind}.yaml"))
    for split in task.splits():
        for epoch in (0, 1):
            block = task.batches(split, training=split == "train").epoch(epoch)[0]
            size = block.indices.shape[1]
            whole = task.arrays(split, block)
            for rows in (np.arange(size // 2), np.arange(size // 2, size), np.arange(0, size, 2)):
                part = task.arrays(split, dataclasses.replace(block, indices=block.indices[:, rows]))
                assert part.keys() == whole.keys()
                for name, array in part.items():
                    np.testing.assert_array_equal(array, whole[name][:, rows], err_msg=name)
