# SPDX-License-Identifier: BSD-2-Clause
"""A tagger of Flair's beside Flair itself: the same file, the same sentences, in turn; 2 threads each.

    python scripts/bench.py --flair [--rounds N] [--hidden N]

Flair writes the file: two character language models of one layer, of 2,048 states and with random weights, and a
BiLSTM-CRF of 256. It needs the package `flair`, which asks for transformers below 5: an environment of its own.
"""

import argparse
import os
import tempfile
from pathlib import Path

from bench.corpus import DATA
from bench.measure import interleave

BATCH, HIDDEN, TAGGER = 32, 2048, 256
LABELS = ("corporation", "creative-work", "group", "location", "person", "product")


def sentences(count: int) -> list[list[str]]:
    """The first sentences of WNUT-17's test data."""
    text = (DATA / "ner-wnut17" / "test.conll").read_text(encoding="utf-8")
    found = [[line.split()[0] for line in part.splitlines() if line.split()] for part in text.split("\n\n")]
    return [each for each in found if each][:count]


def written(path: Path, hidden: int, texts: list[list[str]]):
    """Writes a tagger of Flair's with random weights, and returns it."""
    import flair  # pyright: ignore[reportMissingImports]
    import torch
    from flair.data import Dictionary  # pyright: ignore[reportMissingImports]
    from flair.embeddings import FlairEmbeddings, StackedEmbeddings  # pyright: ignore[reportMissingImports]
    from flair.models import LanguageModel, SequenceTagger  # pyright: ignore[reportMissingImports]

    flair.device = torch.device("cpu")
    torch.manual_seed(0)
    characters = Dictionary(add_unk=True)
    for each in sorted({character for words in texts for word in words for character in word} | {" ", "\n"}):
        characters.add_item(each)
    tags = Dictionary(add_unk=False)
    tags.span_labels = True  # S-, B-, E- and I- of each label, and O
    for label in LABELS:
        tags.add_item(label)
    models = [
        LanguageModel(characters, forward, hidden_size=hidden, nlayers=1, embedding_size=100)
        for forward in (True, False)
    ]
    tagger = SequenceTagger(
        StackedEmbeddings([FlairEmbeddings(each) for each in models]), tag_dictionary=tags, tag_type="ner",
        hidden_size=TAGGER, rnn_layers=1, use_crf=True,
    )  # fmt: skip
    tagger.eval()
    tagger.save(path)
    return tagger


def main(arguments: list[str]) -> int:
    """Prints a table of medians, in milliseconds per batch, and whether the tags are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flair", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=HIDDEN, help="states of each language model")
    given = parser.parse_args(arguments)
    import torch
    from flair.data import Sentence  # pyright: ignore[reportMissingImports]

    import spago_jax as sj

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    texts = sentences(BATCH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tagger.pt"
        theirs, ours = written(path, given.hidden, texts), sj.load_task("token-classification", str(path))

    def flair() -> list[list[str]]:
        batch = [Sentence(words) for words in texts]
        theirs.predict(batch, mini_batch_size=BATCH, force_token_predictions=True)
        return [[token.get_label("ner").value for token in sentence] for sentence in batch]

    def tags() -> list[list[str]]:
        return [answer.tags for answer in ours(tokens=texts)]

    pairs = [(a, b) for left, right in zip(flair(), tags(), strict=True) for a, b in zip(left, right, strict=True)]
    print(f"tags that are the same: {sum(a == b for a, b in pairs):,} of {len(pairs):,}")
    times = interleave({"flair": flair, "ours": tags}, rounds=given.rounds, warmup=1)
    print("| work | Flair | ours | ratio |")
    print("|---|---|---|---|")
    a, b = 1e3 * times["flair"].median, 1e3 * times["ours"].median
    print(f"| tagging, {BATCH} sentences, two LMs of {given.hidden}, fp32 | {a:.0f} | {b:.0f} | **{b / a:.2f}** |")
    return 0
