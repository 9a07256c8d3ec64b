"""The loops. Oracles: transformers' ``generate`` of the same tables, and sums in NumPy."""

import functools
import itertools
import time

import jax
import numpy as np
import pytest
from generation.table_model import TableLM, rows, twin
from helpers import close, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.compiler import RetraceError
from spago_jax.generation import Generator, Options

VOCABULARY, START, END, PAD = 30, 1, 2, 3
TOKENS = {"decoder_start_token_id": START, "eos_token_id": [END], "pad_token_id": PAD}


@functools.cache
def model(seed: int = 0, scale: float = 0.8) -> TableLM:
    return TableLM.random(VOCABULARY, seed, scale=scale)


@functools.cache
def generator(seed: int = 0) -> Generator:
    return Generator(model(seed), Options(**TOKENS))


@functools.cache
def reference(seed: int = 0):
    pytest.importorskip("transformers", reason="needs transformers")
    return twin(model(seed))


def inputs(batch: int, time: int, seed: int = 0, *, ragged: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.ones((batch, time), int)
    if ragged:
        mask = (np.arange(time) < random.integers(1, time + 1, batch)[:, None]).astype(int)
    return np.where(mask, random.integers(4, VOCABULARY, (batch, time)), PAD), mask


def expect(ids, mask, options: dict, seed: int = 0):
    import torch

    given = {**TOKENS, **options}
    given = {name: list(map(list, v)) if name == "bad_words_ids" else v for name, v in given.items()}
    return reference(seed).generate(
        torch.tensor(ids), attention_mask=torch.tensor(mask), use_cache=False, return_dict_in_generate=True,
        output_scores=True, **given,
    )  # fmt: skip


def same(ids, mask, options: dict, seed: int = 0) -> None:
    found = generator(seed).generate(ids, mask, **options, output_scores=True)
    expected = expect(ids, mask, options, seed)
    ends = options.get("eos_token_id", [END])
    prefix = 1
    beams = options.get("num_beams", 1) > 1
    # Where rules leave fewer texts than are asked for, transformers fills up with any: their scores are -1e9.
    real = expected.sequences_scores.numpy() > -1e8 if beams else np.ones(len(found.ids), bool)
    pairs = zip(rows(found.ids, prefix, ends, PAD), rows(expected.sequences, prefix, ends, PAD), real, strict=True)
    assert all(ours == theirs for ours, theirs, there in pairs if there)
    if beams:
        close(found.scores[real], expected.sequences_scores.numpy()[real], 1e-4)
    steps = reference(seed).compute_transition_scores(
        expected.sequences, expected.scores, expected.get("beam_indices"), normalize_logits=not beams
    )
    tokens = steps.numpy()[:, : found.token_scores.shape[1]]
    there = np.arange(tokens.shape[1]) < (found.lengths - 1)[:, None]
    close(found.token_scores[real, : tokens.shape[1]], np.where(there, tokens, 0.0)[real], 1e-4)


FIXED: dict[str, dict] = {
    "greedy": {"max_new_tokens": 12},
    "greedy-rules": {"max_length": 14, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "min_length": 6},
    "beams": {"max_new_tokens": 12, "num_beams": 3},
    "all-beams": {"max_new_tokens": 9, "num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0},
    "early": {"max_new_tokens": 12, "num_beams": 3, "early_stopping": True, "length_penalty": 0.6},
    "never": {"max_new_tokens": 12, "num_beams": 2, "early_stopping": "never"},
    "never-shorter": {"max_new_tokens": 12, "num_beams": 2, "early_stopping": "never", "length_penalty": -0.5},
    "two-ends": {"max_new_tokens": 12, "num_beams": 3, "eos_token_id": [END, 7]},
    "forced": {"max_length": 8, "num_beams": 3, "forced_bos_token_id": 9, "forced_eos_token_id": END},
    "no-end": {"max_new_tokens": 6, "num_beams": 2, "eos_token_id": [END], "suppress_tokens": [END]},
    "summaries": {
        "max_length": 16, "min_length": 5, "num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3,
        "early_stopping": True, "forced_bos_token_id": 5, "bad_words_ids": ((PAD,), (9, 10)),
    },
    "encoder-rules": {
        "max_new_tokens": 8, "num_beams": 2, "encoder_repetition_penalty": 1.3, "encoder_no_repeat_ngram_size": 2,
        "renormalize_logits": True,
    },
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("case", list(FIXED))
def test_texts_and_scores_are_those_of_transformers(case):
    ids, mask = inputs(3, 7, ragged=case != "encoder-rules")
    same(ids, mask, FIXED[case])


@st.composite
def generations(draw):
    beams = draw(st.integers(1, 5))
    options = {"num_beams": beams, "max_new_tokens": draw(st.integers(1, 14))}
    if beams > 1:
        options["num_return_sequences"] = draw(st.integers(1, beams))
        options["length_penalty"] = draw(st.sampled_from([0.0, 0.6, 1.0, 2.0, -1.0]))
        options["early_stopping"] = draw(st.sampled_from([False, True, "never"]))
    ends = draw(st.sampled_from([[END], [END], [END, 7], [END, 7, 8]]))
    options["eos_token_id"] = ends
    rules = {
        "repetition_penalty": st.floats(0.5, 3.0),
        "no_repeat_ngram_size": st.integers(1, 4),
        "min_new_tokens": st.integers(0, options["max_new_tokens"]),
        "bad_words_ids": st.sampled_from([[[5]], [[5], [9, 10]], [[11, 12, 13], [6, 6], [END]]]),
        "sequence_bias": st.sampled_from([[[[5], 1.5]], [[[6, 7], 4.0], [[8], -2.0]]]),
        "suppress_tokens": st.sampled_from([[4], [4, 20, 21]]),
        "begin_suppress_tokens": st.sampled_from([[END], [END, 9]]),
        "forced_bos_token_id": st.integers(4, VOCABULARY - 1),
        "forced_eos_token_id": st.just(END),
        "exponential_decay_length_penalty": st.tuples(st.integers(0, 6), st.floats(0.9, 1.5)),
        "encoder_repetition_penalty": st.floats(0.6, 2.0),
        "encoder_no_repeat_ngram_size": st.integers(1, 3),
        "renormalize_logits": st.just(True),
    }
    for name in draw(st.lists(st.sampled_from(sorted(rules)), max_size=4, unique=True)):
        options[name] = draw(rules[name])
    if options.get("forced_bos_token_id") in options.get("suppress_tokens", ()):  # both libraries refuse it
        del options["suppress_tokens"]
    if options.get("no_repeat_ngram_size") == 1 or options.get("encoder_no_repeat_ngram_size") == 1:
        options["max_new_tokens"] = min(options["max_new_tokens"], 8)
        options["min_new_tokens"] = min(options.get("min_new_tokens", 0), 8)
    sourced = any(name.startswith("encoder") for name in options)
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    return options, inputs(*shape, draw(st.integers(0, 1000)), ragged=not sourced and draw(st.booleans()))


@pytest.mark.slow
@pytest.mark.oracle
@settings(max_examples=300)
@given(generations(), st.integers(0, 3))
def test_random_settings_give_what_transformers_gives(generation, seed):
    options, (ids, mask) = generation
    same(ids, mask, options, seed)


# -- scores -----------------------------------------------------------------------------------------------------


def replayed(ids: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The log-probabilities of a text's tokens after its first, from the tables in float64."""
    tables = {name: np.asarray(getattr(model(), name), np.float64) for name in ("next", "embed", "decode", "source")}
    memory, found = 0.0, []
    for token, following in itertools.pairwise(ids):
        memory = 0.5 * memory + tables["embed"][token]
        logits = tables["next"][token] + memory @ tables["decode"] + tables["source"][source].mean(0)
        found.append(logits[following] - np.log(np.exp(logits - logits.max()).sum()) - logits.max())
    return np.array(found)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "length_penalty": 0.7}, {"do_sample": True, "top_k": 0}])
def test_scores_are_sums_of_log_probabilities(options):
    ids, mask = inputs(2, 5)
    found = generator().generate(ids, mask, max_new_tokens=9, output_scores=True, **options)
    power = options.get("length_penalty", 1.0)
    for row, text in enumerate(found.texts()):
        expected = replayed(np.array([START, *text]), ids[row])
        close(found.token_scores[row, : len(text)], expected, 1e-4)
        assert not found.token_scores[row, len(text) :].any()
        assert found.scores[row] == pytest.approx(expected.sum() / len(text) ** power, abs=1e-4)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options", [{"top_k": 5, "temperature": 0.7}, {"top_k": 0, "top_p": 0.8, "repetition_penalty": 1.5}], ids=str
)
def test_scores_of_drawn_tokens_are_those_of_transformers(options):
    """Given the tokens that ours draws: its own rules on its own logits, then ``compute_transition_scores``."""
    import torch
    import transformers

    ids, mask = inputs(2, 5)
    found = generator().generate(ids, mask, max_new_tokens=8, do_sample=True, seed=2, output_scores=True, **options)
    twin, texts = reference(), torch.tensor(found.ids, dtype=torch.long)
    source = twin.encoder(torch.tensor(ids), torch.tensor(mask))
    config = transformers.GenerationConfig(do_sample=True, **TOKENS, **options)
    rules = twin._get_logits_processor(config, 1, torch.tensor(ids), None, transformers.LogitsProcessorList())
    scores = []
    for length in range(1, texts.shape[1]):
        logits = twin(decoder_input_ids=texts[:, :length], encoder_outputs=source).logits[:, -1]
        scores.append(rules(texts[:, :length], logits))
    expected = twin.compute_transition_scores(texts, tuple(scores), normalize_logits=True).numpy()
    there = np.arange(expected.shape[1]) < (found.lengths - 1)[:, None]
    close(found.token_scores, np.where(there, expected, 0.0), 1e-4)


def test_greedy_texts_have_no_scores_unless_they_are_asked_for():
    found = generator().generate(*inputs(1, 5), max_new_tokens=9)
    assert found.scores is None
    assert found.token_scores is None


# -- batches and sizes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {}, {"num_beams": 3, "early_stopping": True}, {"num_beams": 3}, {"num_beams": 2, "early_stopping": "never"},
        {"do_sample": True, "seed": 3}, {"do_sample": True, "num_beams": 2, "seed": 4},
        {"encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.5},
    ],
    ids=str,
)  # fmt: skip
def test_a_ragged_batch_is_its_rows_one_by_one(options):
    ids, mask = inputs(3, 9, 4, ragged=True)
    options = {**options, "max_new_tokens": 10}
    found = generator().generate(ids, mask, **options).texts()
    for row in range(3):
        alone = generator().generate(ids[row : row + 1, : mask[row].sum()], first=row, **options).texts()[0]
        assert alone.tolist() == found[row].tolist()


def test_a_second_call_of_a_bucket_compiles_nothing():
    ours = Generator(model(), Options(**TOKENS))
    for options in ({"temperature": 0.5, "top_k": 5, "do_sample": True}, {"num_beams": 2, "length_penalty": 2.0}):
        ours.generate(*inputs(3, 10), max_new_tokens=12, **options)  # 13 tokens of 16
    ours.freeze()
    for batch, size, new in ((3, 9, 14), (3, 12, 15)):
        ours.generate(*inputs(batch, size, ragged=True), max_new_tokens=new, do_sample=True, temperature=2.0, top_k=6)
        ours.generate(*inputs(batch, size), max_new_tokens=new, num_beams=2, length_penalty=0.5, seed=3)
    with pytest.raises(RetraceError):
        ours.generate(*inputs(3, 10), max_new_tokens=40)


# -- sampling -----------------------------------------------------------------------------------------------------


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """The chance of counts as far from the expected ones."""
    from scipy import stats

    likely = probabilities * counts.sum() >= 5
    pools = [np.append(values[likely], values[~likely].sum()) for values in (counts, probabilities * counts.sum())]
    pools = [pool[pools[1] > 0] for pool in pools]
    return float(stats.chisquare(*pools).pvalue)


@pytest.mark.parametrize("vocabulary", [VOCABULARY, 700])
@pytest.mark.parametrize(
    "options", [{"top_k": 0}, {"top_k": 6, "temperature": 1.6}, {"top_k": 0, "top_p": 0.7}], ids=str
)
def test_first_tokens_are_drawn_as_the_softmax_says(options, vocabulary):
    """20,000 draws; oracle: the softmax of the scores after the cut-offs, in NumPy."""
    tables = TableLM.random(vocabulary, 1, scale=0.8)
    ours = Generator(tables, Options(**TOKENS))
    ids = inputs(1, 5)[0]
    found = ours.generate(ids, do_sample=True, num_return_sequences=20_000, max_new_tokens=1, seed=5, **options)
    logits = np.asarray(tables.next[START] + 1.0 * tables.embed[START] @ tables.decode, np.float64)
    logits = (logits + np.asarray(tables.source, np.float64)[ids[0]].mean(0)) / options.get("temperature", 1.0)
    order = np.argsort(-logits)
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    kept = options["top_k"] or vocabulary
    if "top_p" in options:
        kept = int((np.cumsum(probabilities[order]) < options["top_p"]).sum()) + 1
    probabilities[order[kept:]] = 0
    counts = np.bincount(found.ids[:, 1], minlength=vocabulary)
    assert not counts[probabilities == 0].any()
    assert chi_square(counts, probabilities / probabilities.sum()) > 1e-3


def test_sampled_beams_are_drawn_without_replacement():
    """Oracle: the probability of each ordered pair of first tokens, p(a) p(b) / (1 - p(a))."""
    ours = generator()
    ids = np.repeat(inputs(1, 4)[0], 500, axis=0)
    counts: dict[tuple[int, ...], int] = {}
    options = {"do_sample": True, "num_beams": 2, "num_return_sequences": 2, "top_k": 3, "max_new_tokens": 1}
    for seed in range(8):
        found = ours.generate(ids, **options, seed=seed, suppress_tokens=[END]).ids[:, 1].reshape(-1, 2)
        for pair in found.tolist():
            assert pair[0] != pair[1]
            key = tuple(sorted(pair))
            counts[key] = counts.get(key, 0) + 1
    tables = model()
    logits = np.asarray(tables.next[START] + tables.embed[START] @ tables.decode, np.float64)
    logits += np.asarray(tables.source, np.float64)[ids[0]].mean(0)
    logits[END] = -np.inf
    top = np.argsort(-logits)[:3]
    p = np.exp(logits[top]) / np.exp(logits[top]).sum()
    assert len(counts) <= 3
    # Four candidates are drawn of three tokens with a probability: all of them, and the best two are kept.
    assert set(counts) == {tuple(sorted(top[:2].tolist()))}
    assert p.sum() == pytest.approx(1)


def test_draws_depend_on_the_seed_alone():
    ids, mask = inputs(2, 5)
    texts = [generator().generate(ids, mask, do_sample=True, seed=seed, max_new_tokens=10).ids for seed in (1, 1, 2)]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert texts[0].tolist() != texts[2].tolist()


# -- streams and limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "num_return_sequences": 2, "seed": 2}], ids=str)
def test_a_stream_is_the_text_in_pieces(options):
    ids, mask = inputs(3, 5, ragged=True)
    whole = generator().generate(ids, mask, max_new_tokens=11, **options)
    pieces = list(generator().stream(ids, mask, steps=4, max_new_tokens=11, **options))
    joined = np.concatenate(pieces, axis=1)
    np.testing.assert_array_equal(joined[:, : whole.ids.shape[1] - 1], whole.ids[:, 1:])
    assert all(piece.shape[1] <= 4 for piece in pieces)


def test_a_stream_that_is_cancelled_or_closed_ends():
    endless = {"max_new_tokens": 400, "suppress_tokens": [END]}
    asked = iter([False, False, True])
    pieces = list(generator().stream(*inputs(1, 5), steps=5, cancelled=lambda: next(asked), **endless))
    assert [piece.shape[1] for piece in pieces] == [5, 5]
    stream = generator().stream(*inputs(1, 5), steps=5, **endless)
    next(stream)
    stream.close()
    assert list(stream) == []


@pytest.mark.parametrize("beams", [1, 3])
def test_a_limit_of_time_ends_texts_where_they_are(beams):
    options = {"max_new_tokens": 400, "suppress_tokens": [END], "num_beams": beams}
    begin = time.monotonic()
    asked = iter([False, True])
    found = generator().generate(*inputs(2, 5), cancelled=lambda: next(asked, True), **options)
    assert found.ids.shape == (2, 1 + 16 + 1)  # a segment, and the token that is the last one then
    short = generator().generate(*inputs(2, 5), max_time=1e-6, **options)
    assert short.ids.shape == (2, 2)
    assert time.monotonic() - begin < 60


def test_limits_do_not_change_a_text_that_ends_in_time():
    for options in ({}, {"num_beams": 3}):
        whole = generator().generate(*inputs(2, 5), max_new_tokens=40, **options)
        limited = generator().generate(*inputs(2, 5), max_new_tokens=40, max_time=1e6, **options)
        np.testing.assert_array_equal(whole.ids, limited.ids)


# -- stops, prefixes, own rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_ends_with_a_stop_sequence(beams):
    free = generator().generate(*inputs(1, 5), max_new_tokens=12, num_beams=beams, suppress_tokens=[END]).texts()[0]
    stop = free[3:5].tolist()
    first = next(at for at in range(len(free) - 1) if free[at : at + 2].tolist() == stop)
    found = generator().generate(
        *inputs(1, 5), max_new_tokens=12, num_beams=beams, suppress_tokens=[END], stop_sequences=[stop, [29, 28, 27]],
        length_penalty=-5.0 if beams > 1 else 1.0, early_stopping=beams > 1,
    ).texts()[0]  # fmt: skip
    if beams == 1:
        assert found.tolist() == free[: first + 2].tolist()
    else:
        assert found[-2:].tolist() in (stop, [28, 27]) or len(found) == 12


@pytest.mark.oracle
def test_texts_begin_with_a_prefix():
    import torch

    ids, mask = inputs(2, 5)
    prefix = np.array([[START, 9, 8], [START, 4, 12]])
    options = {"max_length": 12, "num_beams": 2, "no_repeat_ngram_size": 2, "min_new_tokens": 2}
    found = generator().generate(ids, mask, prefix=prefix, **options)
    expected = reference().generate(
        torch.tensor(ids), decoder_input_ids=torch.tensor(prefix), use_cache=False, **TOKENS, **options
    )
    assert rows(found.ids, 3, [END], PAD) == rows(expected, 3, [END], PAD)
    np.testing.assert_array_equal(found.ids[:, :3], prefix)


def test_a_rule_of_the_user_runs():
    def even(scores, ids, length):
        return jax.numpy.where(jax.numpy.arange(scores.shape[-1]) % 2 == length % 2, scores, -jax.numpy.inf)

    found = Generator(model(), Options(**TOKENS), rules=[even]).generate(*inputs(2, 5), max_new_tokens=6, num_beams=2)
    for text in found.texts():
        assert [token % 2 for token in text] == [(1 + place) % 2 for place in range(len(text))]


# -- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beam": 3}, "num_beam is not an option of generation: did you mean 'num_beams'?"),
        ({"num_beams": 31}, "num_beams = 31: more than the 30 tokens of the vocabulary"),
        ({"num_beams": 0}, "num_beams = 0: expected a whole number of at least 1"),
        ({"min_length": 9, "max_length": 5}, "min_length = 9 is above max_length = 5"),
        ({"min_new_tokens": 9, "max_new_tokens": 5}, "min_new_tokens = 9 is above max_new_tokens = 5"),
        ({"min_length": 30}, "texts of at least 30 tokens and of at most 21"),
        ({"max_length": 1}, "max_length = 1, which counts the 1 token(s) that texts start with: expected more than "
         "that; max_new_tokens counts what comes after them"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences = 3 of num_beams = 2: expected at most as "
         "many"),
        ({"num_return_sequences": 2}, "num_return_sequences = 2 without beams and without sampling: there is one most "
         "probable text; set num_beams or do_sample=True"),
        ({"temperature": 0.7}, "temperature = 0.7 has no effect without do_sample=True"),
        ({"do_sample": True, "temperature": 0}, "temperature = 0: expected a number above 0 (do_sample=False takes the "
         "most probable token)"),
        ({"early_stopping": True}, "early_stopping = True has no effect without num_beams above 1"),
        ({"early_stopping": "sometimes"}, "early_stopping = 'sometimes': expected true, false or 'never'"),
        ({"do_sample": True, "top_p": 1.5}, "top_p = 1.5: expected a probability above 0, at most 1"),
        ({"bad_words_ids": [[99]]}, "bad_words_ids: 99 is not the id of a token; the vocabulary has 30"),
        ({"bad_words_ids": [[]]}, "bad_words_ids: [] is not a sequence of ids; expected a list of lists of ids"),
        ({"bad_words_ids": [[i] for i in range(30)], "suppress_tokens": [2]}, "bad_words_ids and suppress_tokens "
         "forbid every token that could come next"),
        ({"bad_words_ids": [[i] for i in range(30) if i != 2], "min_length": 4}, "bad_words_ids and suppress_tokens "
         "forbid every token that could come next"),
        ({"eos_token_id": [], "min_length": 3}, "min_length = 3 says when texts end, but no eos_token_id ends one"),
        ({"forced_bos_token_id": 4, "suppress_tokens": [4, 5]}, "forced_bos_token_id = 4 forces what suppress_tokens "
         "forbids: take it out of one of them"),
        ({"repetition_penalty": "much"}, "repetition_penalty = 'much': expected a number above 0"),
        ({"exponential_decay_length_penalty": 3}, "exponential_decay_length_penalty = 3: expected [start, factor]"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_options_that_make_no_sense(options, message):
    with refuses(message):
        generator().generate(*inputs(1, 5), **options)


def test_inputs_that_make_no_sense():
    with refuses("ids: 30 is not the id of a token; there are 30"):
        Generator(model(), Options(**TOKENS), source_vocabulary=VOCABULARY).generate([[30]])
    with refuses("prefix: 30 is not the id of a token; there are 30"):
        generator().generate([[4]], prefix=[[30]])
    with refuses("ids: int64[3], expected whole numbers [batch, time]"):
        generator().generate(np.array([1, 2, 3]))
    with refuses("ids: row 1 has no tokens: its mask is all false"):
        generator().generate([[4, 5], [6, 7]], [[1, 1], [0, 0]])
    with refuses("mask [1, 3] for ids [1, 2]: expected the same shape"):
        generator().generate([[4, 5]], [[1, 1, 1]])
    with refuses("no decoder_start_token_id, and no bos_token_id: nothing says what a text begins with"):
        Generator(model()).generate([[4]])
    with refuses("num_beams = 2: which beam is best is known at the end; stream with 1"):
        generator().stream([[4]], num_beams=2)
    with refuses("prefix: 1 rows for 2 of ids"):
        generator().generate([[4], [5]], prefix=[[1]])
