# SPDX-License-Identifier: BSD-2-Clause
"""Writes the small files of word vectors under tests/data/vectors, with the programs that own their formats.

    python -m venv /tmp/oracles && /tmp/oracles/bin/pip install fasttext-numpy2-wheel gensim floret sentencepiece
    /tmp/oracles/bin/python scripts/make_fixtures.py

The tests read them without those packages. `expected.json` holds what the programs answer, and their versions.
"""

import json
import struct
import tempfile
from importlib.metadata import version
from pathlib import Path

import fasttext
import floret
import gensim
import numpy as np
from gensim.models import FastText, KeyedVectors, Word2Vec

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "vectors"
TEXT = """żółw idzie wolno przez łąkę a jeż śpi pod liściem i śni o żółtym serze
η γάτα κοιμάται στον ήλιο και ο σκύλος τρέχει στην αυλή με τη γάτα
고양이 는 집 에서 자고 강아지 는 마당 에서 논다 고양이 와 강아지
the cat sleeps in the sun and the dog runs in the yard with the cat 12 345
"""
BROKEN = b"cut\xc3 w\xff\xfeord cut\xc3 the cat"
UNKNOWN = [
    "żółwie",
    "łąkami",
    "γάτες",
    "σκύλοι",
    "고양이들",
    "강아지와",
    "cats",
    "running",
    "ж",
    "a",
    "naïve",
    "𝔘nicode",
    "",
]


def words() -> list[str]:
    """Every word of the text that can be asked for, and unknown ones."""
    return [*dict.fromkeys(TEXT.split()), *UNKNOWN]


def table(get, asked: list[str]) -> dict[str, list[float]]:
    """The vector that a program gives each word."""
    return {word: [float(x) for x in get(word)] for word in asked}


def trained(train, *arguments, **settings):
    """A model of fastText, whose wheel often fails on a tiny corpus ("Encountered NaN") and then does not."""
    for _ in range(200):
        try:
            return train(*arguments, **settings)
        except RuntimeError:
            continue
    raise SystemExit("fastText could not train on the tiny corpus")


def refilled(model, name: str):
    """A model with fresh input vectors: that wheel leaves parts of them as it found the memory."""
    path = OUT / name
    model.save_model(str(path))
    data = bytearray(path.read_bytes())
    rows, columns = model.get_input_matrix().shape
    at = data.index(struct.pack("<2q", rows, columns)) + 16
    values = np.random.default_rng(1).normal(size=rows * columns).astype("<f4").tobytes()
    data[at : at + len(values)] = values
    path.write_bytes(data)
    return fasttext.load_model(str(path))


def main() -> None:
    """Writes all files."""
    OUT.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp()) / "corpus.txt"
    corpus.write_bytes((TEXT * 30).encode() + BROKEN + b"\n")
    sentences = [line.split() for line in TEXT.splitlines()] * 3
    expected: dict[str, object] = {
        "versions": {name: version(name) for name in ("fasttext-numpy2-wheel", "floret", "gensim", "numpy")}
    }
    common = {"dim": 6, "epoch": 3, "minCount": 1, "thread": 1, "verbose": 0, "lr": 0.05, "t": 1.0}
    model = trained(fasttext.train_unsupervised, str(corpus), model="skipgram", minn=2, maxn=4, bucket=97, **common)
    model = refilled(model, "skipgram.bin")
    expected["skipgram.bin"] = table(model.get_word_vector, [*words(), "</s>"])
    model = trained(fasttext.train_unsupervised, str(corpus), model="cbow", minn=0, maxn=0, **{**common, "dim": 4})
    model = refilled(model, "words-alone.bin")
    expected["words-alone.bin"] = table(model.get_word_vector, words())
    labeled = corpus.with_name("labeled.txt")
    labeled.write_text("".join(f"__label__{n % 2} {line}\n" for n, line in enumerate(TEXT.splitlines() * 5)))
    model = trained(fasttext.train_supervised, str(labeled), minn=3, maxn=3, bucket=50, **common)
    model = refilled(model, "classes.bin")
    expected["classes.bin"] = table(model.get_word_vector, words())
    model = trained(
        floret.train_unsupervised,
        str(corpus),
        model="cbow",
        mode="floret",
        hashCount=2,
        bucket=60,
        minn=2,
        maxn=3,
        **common,
    )
    model.save_floret_vectors(str(OUT / "table.floret"))
    # to the most frequent word floret adds a row that its file does not have
    expected["table.floret"] = table(model.get_word_vector, [word for word in words() if word not in ("the", "")])

    vectors = Word2Vec(sentences, vector_size=5, min_count=1, epochs=2, workers=1, seed=1)
    vectors.save(str(OUT / "word2vec.model"))
    vectors.wv.save(str(OUT / "small.kv"))
    vectors.wv.save(str(OUT / "apart.kv"), sep_limit=1)
    vectors.wv.save_word2vec_format(str(OUT / "gensim.w2v.bin"), binary=True)
    expected["gensim"] = table(vectors.wv.get_vector, list(vectors.wv.key_to_index))
    own = FastText(sentences, vector_size=5, min_count=1, epochs=2, workers=1, min_n=2, max_n=4, bucket=80, seed=1)
    own.wv.save(str(OUT / "fasttext.kv"))
    expected["fasttext.kv"] = table(own.wv.get_vector, [word for word in words() if word])
    assert isinstance(KeyedVectors.load(str(OUT / "apart.kv")).vectors, np.ndarray)
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False), "utf-8")
    print(gensim.__version__, sorted(path.name for path in OUT.iterdir()))


if __name__ == "__main__":
    main()
