import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spago_jax.models.sequence_labeler import data as corpora
from spago_jax.models.sequence_labeler.config import ConllData, SequenceLabelerConfig
from spago_jax.models.sequence_labeler.model import SequenceLabeler
from spago_jax.models.sequence_labeler.scores import TagScorer, majority_scores
from spago_jax.models.sequence_labeler.tag_set import TagSet
from spago_jax.models.tokens.features import Features

from spago_jax.core import Rng, flat
from spago_jax.data.batching import Block
from spago_jax.data.encoded import encode_sentences
from spago_jax.data.examples import Tokens
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.python.sources import majority_baseline
from spago_jax.errors import InputError
from spago_jax.text.tags import transition_mask

TAGS = ("O", "B-PER", "I-PER", "E-PER", "S-PER")


def features(*tokens: str, **config) -> tuple[Features, SequenceLabelerConfig]:
    builder = LexiconBuilder()
    builder.encode(tokens)
    made = SequenceLabelerConfig(kind="sequence_labeler", **config)
    return Features.build(builder.build(), made), made


def lexicon(*tokens: str):
    builder = LexiconBuilder()
    builder.encode(tokens)
    return builder.build()


def test_words_are_found_as_they_stand_then_lower_cased_then_with_zeros_for_digits():
    made, _ = features("The", "the", "cat", "0000", "Rome")
    ids = {form: made.words.terms[made.word_id(form)] for form in ("The", "CAT", "1984", "Rome", "ROME", "dog")}
    assert ids == {"The": "The", "CAT": "cat", "1984": "0000", "Rome": "Rome", "ROME": "<unk>", "dog": "<unk>"}


def test_long_words_keep_their_beginning_and_their_end():
    made, _ = features("abcdefghij", characters={"max_length": 6})
    ids = made.tables(lexicon("abcdefghij", "abc")).characters
    text = ["".join(made.alphabet.terms[i] for i in row if i) for row in ids]
    assert text == ["abcdij", "abc", ""]


def test_unknown_probability_falls_with_the_count():
    made, _ = features("a", "a", "a", "b")
    chance = made.unknown_probability(lexicon("a", "a", "a", "b"), 0.25)
    assert chance[made.words.id("a")] == pytest.approx(0.25 / 3.25)
    assert chance[made.words.id("b")] == pytest.approx(0.25 / 1.25)
    assert chance[:2].tolist() == [0, 0]
    assert not made.unknown_probability(lexicon("a"), 0.0).any()


def test_features_are_saved_and_read_back(tmp_path):
    made, _ = features("The", "naïve", "☕", "x y")
    made.save(tmp_path)
    assert Features.load(tmp_path) == made
    (tmp_path / "features.json").write_text("{")
    with pytest.raises(InputError, match="the run's assets cannot be read"):
        Features.load(tmp_path)


def test_tags_of_another_kind_are_refused():
    tags = TagSet(TAGS, "BIOES", "IOB2")
    assert tags.table(["O", "S-PER", "S-NEW"], "dev").tolist() == [0, 4, -1]
    with pytest.raises(InputError, match=r"dev: none of its tags \(NOUN, VERB\) is one of the model's \(O, B-PER"):
        tags.table(["NOUN", "VERB"], "dev")


def labeler(output: str = "crf", encoder: str = "cnn"):
    made, config = features(
        "Ann", "visits", "Bob", hidden=6, output=output, shape_size=3,
        words={"size": 5}, characters={"encoder": encoder, "size": 3, "filters": 4, "max_length": 7},
    )  # fmt: skip
    allowed = transition_mask(TAGS, "BIOES")
    model = SequenceLabeler.init(jax.random.key(0), config, **made.sizes, tags=len(TAGS), allowed=allowed)
    return made, model


def batch_of(made: Features, sentences: list[list[str]], width: int):
    encoded = encode_lengths(sentences)
    forms, lengths = encoded[0].gather(np.arange(len(sentences)), width, pad=-1)
    return made.tables(encoded[1]).batch(forms, lengths)


def encode_lengths(sentences):
    from spago_jax.data.ragged import RaggedArray

    builder = LexiconBuilder()
    values = builder.encode([token for tokens in sentences for token in tokens])
    return RaggedArray.from_lengths(values, np.array([len(s) for s in sentences])), builder.build()


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
    tokens = model.tokens
    tokens = tokens.replace(unknown_probability=jnp.full(tokens.unknown_probability.shape, 0.5))
    ids = {"words": jnp.full((4000,), made.words.id("Ann")), "shapes": jnp.zeros(4000, jnp.int32)}
    vectors = tokens(ids, rng=Rng.seed(0))[:, :5]
    share = float((vectors == flat(tokens)["words.weight"][1]).all(-1).mean())
    assert share == pytest.approx(0.5, abs=0.04)
    assert bool((tokens(ids)[:, :5] == flat(tokens)["words.weight"][made.words.id("Ann")]).all())


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
    both = ConllData(kind="conll", train=(str(tmp_path / "a.conll"), str(tmp_path / "b.conll")))
    (tmp_path / "c.conll").write_text("Ann\tB-PER\nsings\tO\n\nin\tO\nRome\tB-LOC\n\nBob\tB-PER\n")
    one = ConllData(kind="conll", train=str(tmp_path / "c.conll"))
    assert corpora.schemes(both, "BIOES") == corpora.schemes(one, "BIOES") == ("IOB2", "BIOES")
    first, second = (corpora.load(data, "train", None, "IOB2", "BIOES", 64) for data in (both, one))
    assert list(first.lexicon) == list(second.lexicon)
    assert first.tag_names == second.tag_names
    np.testing.assert_array_equal(first.lengths, second.lengths)
    np.testing.assert_array_equal(first.tags.values, second.tags.values)


def test_no_training_file_at_all():
    with pytest.raises(InputError, match=r"data\.train is missing: there is nothing to train on"):
        corpora.files_of(ConllData(kind="conll", train=()), "train")
