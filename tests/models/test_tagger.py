import jax
import jax.numpy as jnp
import numpy as np
import pytest
from majority import majority_baseline

from spago_jax.core import Rng, flat
from spago_jax.data.batching import Block
from spago_jax.data.encoded import EncodedSentences, encode_sentences
from spago_jax.data.examples import Tokens
from spago_jax.data.formats.conll import Conll
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.embeddings.stacked import fit
from spago_jax.errors import InputError
from spago_jax.tasks.token_classification.config import TaggerConfig
from spago_jax.tasks.token_classification.corpus import read_corpus, refuse_no_files, schemes
from spago_jax.tasks.token_classification.objective import TaggingObjective
from spago_jax.tasks.token_classification.processor import TokenProcessor
from spago_jax.tasks.token_classification.scores import TagScorer, majority_scores
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tokenizers.words import WordTokenizer

TAGS = ("O", "B-PER", "I-PER", "E-PER", "S-PER")


def lexicon(*tokens: str):
    builder = LexiconBuilder()
    builder.encode(tokens)
    return builder.build()


def test_tags_of_another_kind_are_refused():
    tags = TagSet(TAGS, "BIOES", "IOB2")
    assert tags.table(["O", "S-PER", "S-NEW"], "dev").tolist() == [0, 4, -1]
    with pytest.raises(InputError, match=r"dev: none of its tags \(NOUN, VERB\) is one of the model's \(B-PER, I-PER"):
        tags.table(["NOUN", "VERB"], "dev")


def labeler(output: str = "crf", encoder: str = "cnn"):
    embeddings = [{"kind": "words", "size": 5}, {"kind": "shapes", "size": 3}]
    if encoder != "none":
        characters = {"kind": "characters", "encoder": encoder, "size": 3, "filters": 4, "max_length": 7}
        embeddings.insert(1, characters)
    config = TaggerConfig(embeddings=embeddings, encoder={"kind": "birnn", "hidden": 6}, output=output)
    indexers = fit(config.embeddings, lexicon("Ann", "visits", "Bob"))
    processor = TokenProcessor(WordTokenizer(), indexers, TagSet(TAGS, "BIOES", "IOB2"), 128)
    return processor, TaggingObjective(config, processor).init(jax.random.key(0))


def batch_of(processor: TokenProcessor, sentences: list[list[str]], width: int):
    rows = processor.encode(processor.example(tokens) for tokens in sentences)
    return processor.batch(rows, np.arange(len(sentences)), width)


SENTENCES = [["Ann", "visits", "Bob", "today"], ["Bob"], ["Ann", "visits"]]


@pytest.mark.parametrize(("output", "encoder"), [("crf", "cnn"), ("softmax", "lstm"), ("crf", "none")])
def test_a_batch_equals_its_sentences_one_by_one_and_padding_changes_nothing(output, encoder):
    made, model = labeler(output, encoder)

    @jax.jit  # compiled twice: for the batch, and for one sentence of four tokens or fewer
    def apply(model, batch, tags):
        emissions = model(batch)
        likelihood = model.log_likelihood(emissions, tags, batch["lengths"])
        return emissions, model.decode(emissions, batch["lengths"]), likelihood

    tags = np.random.default_rng(0).integers(0, 2, (3, 6))
    emissions, found, likelihood = apply(model, batch_of(made, SENTENCES, 6), tags)
    for row, tokens in enumerate(SENTENCES):
        alone = apply(model, batch_of(made, [tokens], 4), tags[row : row + 1, :4])
        size = len(tokens)
        np.testing.assert_allclose(alone[0][0, :size], emissions[row, :size], rtol=2e-5, atol=2e-6)
        np.testing.assert_array_equal(alone[1][0, :size], found[row, :size])
        np.testing.assert_allclose(alone[2][0], likelihood[row], rtol=1e-4, atol=1e-5)


def test_a_crf_with_bans_gives_tags_that_the_scheme_allows():
    made, model = labeler()
    emissions = 30 * jax.random.normal(jax.random.key(3), (50, 9, 5))
    lengths = np.random.default_rng(0).integers(1, 10, 50)
    from spago_jax.text.tags import check

    for row, length in zip(np.asarray(model.decode(emissions, lengths)), lengths, strict=True):
        assert check([TAGS[i] for i in row[:length]], "BIOES") == []


def test_dropout_needs_a_generator_and_changes_with_it():
    made, model = labeler()
    model = model.replace(dropout=0.5)
    batch = batch_of(made, SENTENCES, 4)
    np.testing.assert_array_equal(model(batch), model(batch))
    assert not np.array_equal(model(batch, rng=Rng.seed(0)), model(batch))
    np.testing.assert_array_equal(model(batch, rng=Rng.seed(1)), model(batch, rng=Rng.seed(1)))


def test_words_are_read_as_unknown_at_their_rate_in_training_only():
    made, model = labeler(encoder="none")
    words, indexer = model.embeddings.parts[0], made.indexers[0]
    words = words.replace(unknown_probability=jnp.full(words.unknown_probability.shape, 0.5))
    ids = {"words": jnp.full((4000,), indexer.id("Ann"))}
    vectors, table = words(ids, rng=Rng.seed(0)), flat(words)["table.weight"]
    share = float((vectors == table[1]).all(-1).mean())
    assert share == pytest.approx(0.5, abs=0.04)
    assert bool((words(ids) == table[indexer.id("Ann")]).all())


def test_the_majority_baseline_equals_the_plain_python_one(tmp_path):
    draw = np.random.default_rng(0)
    names = ("NOUN", "VERB", "X")

    def corpus(count, name):
        made = [
            Tokens([f"w{w}" for w in draw.integers(0, 12, n)], [names[t] for t in draw.integers(0, 3, n)], 1)
            for n in draw.integers(1, 9, count)
        ]
        return made, encode_sentences(iter(made), tmp_path / name)

    train, train_encoded = corpus(60, "train")
    test, test_encoded = corpus(30, "test")
    tags = TagSet(names, "plain", "plain")
    scores = majority_scores(train_encoded, test_encoded, tags.table(test_encoded.tag_names, "test"), tags)
    predicted = majority_baseline([(s.tokens, s.tags) for s in train], [s.tokens for s in test])
    gold = [tag for s in test for tag in s.tags]
    flat_predicted = [tag for row in predicted for tag in row]
    right = sum(a == b for a, b in zip(gold, flat_predicted, strict=True))
    assert scores.values["accuracy"] == pytest.approx(right / len(gold))
    sklearn = pytest.importorskip("sklearn.metrics")
    assert scores.values["macro_f1"] == pytest.approx(sklearn.f1_score(gold, flat_predicted, average="macro"))


def test_a_gold_tag_that_training_never_saw_counts_as_missed(tmp_path):
    corpus = encode_sentences(iter([Tokens(["a", "b"], ["NOUN", "NEW"], 1)]), tmp_path / "c")
    tags = TagSet(("NOUN", "VERB"), "plain", "plain")
    scorer = TagScorer(corpus, tags.table(corpus.tag_names, "c"), tags)
    scorer.update(Block(4, np.array([[0, -1]])), {"tags": np.zeros((1, 2, 4), np.int32)})
    scores = scorer.compute()
    assert scores.values["accuracy"] == 0.5
    assert {row["label"]: row["recall"] for row in scores.details["labels"]} == {"NOUN": 1.0, "(unseen label)": 0.0}


def test_several_training_files_are_read_as_one(tmp_path):
    (tmp_path / "a.conll").write_text("Ann\tB-PER\nsings\tO\n")
    (tmp_path / "b.conll").write_text("in\tO\nRome\tB-LOC\n\nBob\tB-PER\n")
    both = Conll(format="conll", train=(str(tmp_path / "a.conll"), str(tmp_path / "b.conll")))
    (tmp_path / "c.conll").write_text("Ann\tB-PER\nsings\tO\n\nin\tO\nRome\tB-LOC\n\nBob\tB-PER\n")
    one = Conll(format="conll", train=str(tmp_path / "c.conll"))
    assert schemes(both, "BIOES") == schemes(one, "BIOES") == ("IOB2", "BIOES")
    first, second = (read_corpus(data, "train", "IOB2", "BIOES", 64)[0] for data in (both, one))
    assert list(first.lexicon) == list(second.lexicon)
    assert first.tag_names == second.tag_names
    np.testing.assert_array_equal(first.lengths, second.lengths)
    np.testing.assert_array_equal(first.tags.values, second.tags.values)


def test_no_training_file_at_all():
    with pytest.raises(InputError, match=r"data\.train is missing: there is nothing to train on"):
        refuse_no_files(Conll(format="conll", train=()), "train")


def test_sentences_in_memory_are_those_on_disk(tmp_path):
    sentences = [Tokens(["a", "b", "a"], ["O", "B-x", "O"], 1), Tokens(["c"], ["B-x"], 5)]
    disk, memory = encode_sentences(iter(sentences), tmp_path / "c"), EncodedSentences.of(sentences)
    assert list(memory.lexicon) == list(disk.lexicon)
    assert memory.tag_names == disk.tag_names
    for mine, other in ((memory.forms, disk.forms), (memory.tags, disk.tags)):
        np.testing.assert_array_equal(mine.values, other.values)
        np.testing.assert_array_equal(mine.offsets, other.offsets)
    np.testing.assert_array_equal(memory.lines, disk.lines)
