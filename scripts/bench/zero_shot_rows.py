# SPDX-License-Identifier: BSD-2-Clause
"""Classes named when asking, by a BART of random weights: this library beside the pipeline of transformers."""

import functools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers.processors import RobertaProcessing

from spago_jax import load_task

LABELS = ("politics", "sport", "music", "health", "travel")
SENTENCE = "The committee of the council has agreed on a new budget for schools, roads and hospitals in the north. "
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CLASSES = ("contradiction", "neutral", "entailment")
WORDS = 50265


def zero_shot(sentences: int, *, hidden: int = 512, layers: int = 6) -> dict[str, Callable[[], object]]:
    """One text with five labels, each side with its own tokenizer; PyTorch's rows by one and all at once.

    The ways must give the same scores, or none is timed.
    """
    text = SENTENCE * sentences
    theirs = _pipeline(text, hidden, layers)
    with tempfile.TemporaryDirectory() as folder:
        theirs.model.save_pretrained(folder)
        theirs.tokenizer.save_pretrained(folder)
        ours = load_task("zero-shot-classification", Path(folder))

    def pipeline(rows: int) -> dict[str, float]:
        found = theirs(text, list(LABELS), batch_size=rows)
        return _by_label(zip(found["labels"], found["scores"], strict=True))

    def here() -> dict[str, float]:
        return _by_label((each.label, each.score) for each in ours(text, LABELS).ranking)

    ways = {
        "PyTorch, a label at a time": functools.partial(pipeline, 1),
        "PyTorch, all labels at once": functools.partial(pipeline, len(LABELS)),
        "ours": here,
    }
    found = [list(way().values()) for way in ways.values()]
    np.testing.assert_allclose(found[1:], found[:1] * (len(found) - 1), atol=1e-4)
    return ways


def _by_label(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    scores = dict(pairs)
    return {label: scores[label] for label in LABELS}


def _pipeline(text: str, hidden: int, layers: int) -> transformers.ZeroShotClassificationPipeline:
    """A classifier of random weights, and pieces of bytes that are found in the text itself."""
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    pieces = tokenizers.ByteLevelBPETokenizer()
    pieces.train_from_iterator([text, *LABELS], vocab_size=1000, special_tokens=list(SPECIAL))
    pieces.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))  # type: ignore[assignment]
    names = zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL, strict=True)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer, model_max_length=1024, cls_token="<s>", sep_token="</s>", **dict(names)
    )
    sizes = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", layers), ("attention_heads", hidden // 64), ("ffn_dim", 4 * hidden))
    }
    config = transformers.BartConfig(
        vocab_size=WORDS, d_model=hidden, **sizes, id2label=dict(enumerate(CLASSES)),
        label2id={name: number for number, name in enumerate(CLASSES)}, attn_implementation="sdpa",
    )  # fmt: skip
    model = transformers.BartForSequenceClassification(config).eval()
    return transformers.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)


ZERO_SHOT_ROWS = {
    "zero-shot-short": ("zero-shot, BART 6 + 6 x 512, a sentence with 5 labels", lambda: zero_shot(1)),
    "zero-shot-long": ("zero-shot, BART 6 + 6 x 512, a text of 22 sentences with 5 labels", lambda: zero_shot(22)),
}
