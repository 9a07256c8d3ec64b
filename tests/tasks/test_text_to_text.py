"""Tasks that write a text for a text, from folders in Hugging Face's layout, against transformers."""

import json

import numpy as np
import pytest
from helpers import refuses
from pair_models import SENTENCES, tokenizer_of, write_pair

import spago_jax as sj
from spago_jax.cli.main import run as command
from spago_jax.cli.task_options import split
from spago_jax.data.examples import Parallel
from spago_jax.errors import InputError
from spago_jax.tasks.abstractive_question_answering.predictor import AbstractiveQuestionAnswering
from spago_jax.tasks.abstractive_question_answering.processor import AskedProcessor
from spago_jax.tasks.keyword_generation.processor import KeywordProcessor
from spago_jax.tasks.pretrained.registry import PRETRAINED
from spago_jax.tasks.relation_extraction.processor import Relation, RelationProcessor, relations_of
from spago_jax.tasks.summarization.predictor import Summarization
from spago_jax.tasks.text_to_text.predictor import TextSettings
from spago_jax.tasks.text_to_text.processor import Marks, TextToTextProcessor, Written
from spago_jax.tasks.translation.predictor import Translation
from spago_jax.text.tokenizers import load_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("transformers")
    return write_pair(tmp_path_factory.mktemp("models") / "marian", "marian")


@pytest.fixture(scope="module")
def task(folder):
    return sj.load_task("translation", folder)


def theirs(folder, texts, **options):
    """The texts that transformers writes one by one, and the scores of their beams."""
    import torch
    import transformers

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        with torch.no_grad():
            given = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            out = model.generate(**given, return_dict_in_generate=True, output_scores=True, **options)
        scores = [None] * len(out.sequences) if out.get("sequences_scores") is None else out.sequences_scores.tolist()
        decoded = tokenizer.batch_decode(out.sequences, skip_special_tokens=True)
        found.append(list(zip(decoded, scores, strict=True)))
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5}])
def test_texts_and_scores_are_those_of_transformers(folder, task, options):
    """Whatever the batch: each text is answered as it is alone, and the order is kept."""
    answers = task(SENTENCES, **options)
    assert [answer.source for answer in answers] == SENTENCES
    for answer, expected in zip(answers, theirs(folder, SENTENCES, **options), strict=True):
        assert [found.text for found in answer] == [text for text, _ in expected]
        if options:
            np.testing.assert_allclose([found.score for found in answer], [s for _, s in expected], rtol=1e-4)


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5}])
def test_scores_of_tokens_are_those_of_transformers(folder, task, options):
    """``compute_transition_scores(normalize_logits=True)``, text for text."""
    import torch
    import transformers

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, answer in zip(SENTENCES[:3], task(SENTENCES[:3], token_scores=True, **options), strict=True):
        given = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            out = model.generate(**given, return_dict_in_generate=True, output_scores=True, **options)
        scores = model.compute_transition_scores(
            out.sequences, out.scores, out.get("beam_indices"), normalize_logits=True
        )
        for found, ids, expected in zip(answer, out.sequences[:, 1:], scores, strict=True):
            count = len(found.tokens)
            assert [token.id for token in found.tokens] == ids.tolist()[:count]
            assert [token.text for token in found.tokens] == tokenizer.convert_ids_to_tokens(ids[:count])
            np.testing.assert_allclose([token.score for token in found.tokens], expected[:count], atol=1e-4)


def test_scores_of_tokens_add_up_to_the_score_of_a_text(folder, task, capsys):
    for options in ({}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True, "seed": 3}):
        plain = task(SENTENCES[:2], **options)
        for found, without in zip(task(SENTENCES[:2], token_scores=True, **options), plain, strict=True):
            assert "tokens" not in without.to_dict()["texts"][0]
            for text, same in zip(found, without, strict=True):
                assert (text.text, text.score, same.tokens) == (same.text, same.score, None)
                mean = sum(token.score for token in text.tokens) / len(text.tokens)
                assert text.score == pytest.approx(mean, rel=1e-4)
                assert [token["score"] for token in text.to_dict()["tokens"]] == [t.score for t in text.tokens]
    assert task("", token_scores=True).texts[0].tokens == ()
    with refuses("token_scores = True: they come with the whole text; read it whole, not in pieces"):
        next(task.pieces(SENTENCES[0], token_scores=True))
    assert command(["run", "translation", str(folder), SENTENCES[0], "--token-scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = task(SENTENCES[0], token_scores=True).texts[0]
    assert lines == [first.text, *(f"  {token.score:.4f}\t{token.text}" for token in first.tokens)]


def test_windows_of_a_text_have_their_tokens_one_after_another():
    found = processor()
    the, cat = (found.tokenizer.id(word) for word in ("the", "cat"))
    rows = [[Written([the, cat], -1.5, [-1.0, -2.0])], [Written([cat, 999], -0.5, [-0.25, -0.75])]]
    (text,) = found.written(rows, Parallel("x")).texts
    assert [(token.text, token.id) for token in text.tokens] == [("the", the), ("cat", cat), ("cat", cat), ("", 999)]
    assert [token.score for token in text.tokens] == [-1.0, -2.0, -0.25, -0.75]


def test_an_empty_text_is_answered_by_one(task):
    first, empty, last = task([SENTENCES[0], " \t", SENTENCES[1]])
    assert (empty.text, empty.score, len(empty)) == ("", 0.0, 1)
    alone = task(SENTENCES[0])
    assert first.text == alone.text
    assert first.score == pytest.approx(alone.score, rel=1e-5)
    assert last.source == SENTENCES[1]


def test_pieces_of_a_stream_are_the_text(task, folder, capsys):
    answer = task(SENTENCES[3])
    assert "".join(task.pieces(SENTENCES[3])) == answer.text
    assert list(task.pieces("")) == []
    assert command(["run", "translation", str(folder), SENTENCES[3]]) == 0
    assert capsys.readouterr().out == f"{answer.text}\n"
    assert command(["run", "translation", str(folder), SENTENCES[3], "--num-beams", "2", "--format", "jsonl"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"] == task(SENTENCES[3], num_beams=2).text
    with refuses("num_beams = 2: which beam is best is known at the end; stream with 1"):
        list(task.pieces(SENTENCES[3], num_beams=2))


def test_options_are_checked_before_anything_is_read(task):
    with refuses("translation has no setting 'num_beam': did you mean 'num_beams'?"):
        task("the cat", num_beam=2)
    with pytest.raises(InputError, match=r"temperature = 0\.5 has no effect without do_sample=True"):
        task("the cat", temperature=0.5)
    with pytest.raises(InputError, match="num_return_sequences = 2 without beams"):
        next(task.stream(iter(["the cat"]), num_return_sequences=2))


def test_paraphrases_are_drawn_unless_a_user_says_otherwise(folder, task):
    drawing = sj.load_task("paraphrasing", folder)
    several = drawing(SENTENCES[0], num_return_sequences=3, seed=3)
    assert len({found.text for found in several}) > 1
    assert several == drawing(SENTENCES[0], num_return_sequences=3, seed=3)
    assert drawing(SENTENCES[0], do_sample=False).texts == task(SENTENCES[0]).texts


@pytest.mark.parametrize(
    "name",
    ["text2text-generation", "summarization", "keyword-generation", "relation-extraction"],
)
def test_every_task_answers_a_folder(folder, task, name):
    found = sj.load_task(name, folder)(SENTENCES[:2])
    if name == "relation-extraction":  # whose texts keep other special tokens than those of the decoder
        assert [answer.relations for answer in found] == [(), ()]
    else:
        assert [answer.text for answer in found] == [answer.text for answer in task(SENTENCES[:2])]


def test_an_encoder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="bert has no head 'words'"):
        sj.load_task("summarization", tmp_path)


# -- texts without a model -----------------------------------------------------------------------------------------


def processor(cls=TextToTextProcessor, max_length=8, **how):
    tokenizer = how.pop("tokenizer", None) or tokenizer_of()
    ids = tokenizer.special_ids
    return cls(tokenizer, Marks(ids["pad"], ids["pad"]), max_length, **how)


def test_a_long_text_is_refused_with_the_way_out():
    text = "the cat sat on the mat . a dog ran ."
    with refuses(
        f"'{text}' has 12 pieces with its marks, and the model reads 8 at most; shorten it, or open the task with "
        'long_text="split", which reads windows of whole sentences'
    ):
        processor().encode([Parallel(text)])


def test_a_long_text_is_split_into_windows_of_whole_sentences():
    """Nothing is lost, no window is longer than the model reads, and the texts stand in order again."""
    long = "The cat sat. A dog ran. No. " + "We see the old red house and the road and the mat. " + "You say no."
    tokenizer = train_tokenizer([long, long], kind="characters", size=60, marks="end")
    found = processor(tokenizer=tokenizer, max_length=30, long_text="split")
    rows = found.encode([Parallel("A dog."), Parallel(long), Parallel("")])
    assert rows.owners.tolist() == [0, *[1] * (len(rows) - 1)]
    assert rows.lengths.max() <= 30
    windows = [tokenizer.decode(rows.ids[row].tolist()) for row in range(1, len(rows))]
    assert windows[0] == "The cat sat. A dog ran. No."
    assert windows[-1].endswith("You say no.")
    assert " ".join(windows) == long
    written = [[Written(rows.ids[row].tolist(), -float(row))] for row in range(1, len(rows))]
    answer = found.written(written, Parallel(long))
    assert answer.text == long
    assert answer.score == pytest.approx(-np.mean(range(1, len(rows))))


def test_a_word_that_is_longer_than_the_model_reads_is_split_within():
    tokenizer = tokenizer_of("characters")
    found = processor(tokenizer=tokenizer, max_length=5, long_text="split")
    rows = found.encode([Parallel("theroadandthehouse on")])
    windows = [tokenizer.decode(rows.ids[row].tolist()) for row in range(len(rows))]
    assert "".join(windows) == "theroadandthehouseon"
    assert rows.lengths.max() <= 5


def test_targets_are_read_one_place_later():
    """Behind the start; mBART begins with the token of the language, which stands at the end."""
    tokenizer = tokenizer_of()
    pad, end = tokenizer.special_ids["pad"], tokenizer.special_ids["end"]
    the, cat = tokenizer.id("the"), tokenizer.id("cat")
    pairs = [Parallel("a", "the cat"), Parallel("a dog", "cat")]
    for rotate, first in ((False, 7), (True, end)):
        found = TextToTextProcessor(tokenizer, Marks(7, pad, rotate), 8)
        batch = found.batch(found.parallel(pairs), np.array([0, 1, -1]), 4, targets=True, target_length=4)
        assert batch["labels"].tolist() == [[the, cat, end, pad], [cat, end, pad, pad], [pad] * 4]
        assert batch["targets"].tolist() == [[first, the, cat, pad], [first, cat, pad, pad], [pad] * 4]
        assert batch["label_lengths"].tolist() == [3, 2, 0]
        assert batch["ids"].shape == (3, 4)


def test_training_and_answering_read_the_same_arrays():
    found = processor(prefix="say ", max_length=12)
    pairs = [Parallel(text, "no") for text in SENTENCES[1:3]]
    learned, asked = found.parallel(pairs), found.encode(pairs)
    for name, array in found.batch(asked, np.array([1, 0]), 12).items():
        np.testing.assert_array_equal(array, found.batch(learned, np.array([1, 0]), 12, targets=True)[name])


def test_long_pairs_are_refused_left_out_or_cut():
    from spago_jax.data.notes import Notes

    found = processor(max_target_length=3)
    pairs = [Parallel("a cat", "no", 4), Parallel("the cat", "no one say no", 9)]
    with pytest.raises(InputError, match=r"1 pairs are too long, the first of line 9 with 3 and 5 pieces: at most 8"):
        found.parallel(pairs)
    notes = Notes()
    assert len(found.parallel(pairs, longer="leave-out", notes=notes)) == 1
    assert found.parallel(pairs, longer="cut", notes=notes).target_lengths.tolist() == [2, 3]
    assert len(notes.lines()) == 2
    with refuses("no pair of texts is left to learn from"):
        found.parallel(pairs[1:], longer="leave-out")


def test_it_is_read_again_as_it_was(tmp_path):
    made = processor(prefix="say ", max_target_length=5, target_tokenizer=tokenizer_of("characters"), long_text="split")
    made.config, made.generation = {"model_type": "marian"}, {"num_beams": 2}
    made.save(tmp_path)
    again = TextToTextProcessor.load(tmp_path)
    assert again.settings() == made.settings()
    assert again.config == made.config
    assert again.text(made.target_ids(["a cat"])[0]) == "a cat"
    assert again.target_tokenizer is not again.tokenizer


# -- languages -----------------------------------------------------------------------------------------------------


def with_codes(folder, template, codes):
    """A tokenizer of words whose special tokens are codes of languages, as ``tokenizer.json``."""
    import tokenizers

    tokenizer = tokenizer_of()
    tokenizer.save(folder)
    engine = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    engine.add_special_tokens(list(codes))
    special = [(token, engine.token_to_id(token)) for token in (*codes, "</s>")]
    engine.post_processor = tokenizers.processors.TemplateProcessing(
        single=template, pair=template.replace("$A", "$A $B"), special_tokens=special
    )
    engine.save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder)


def test_codes_of_languages_stand_beside_texts(tmp_path):
    """mBART: at the end of a text, or at its beginning (version 50)."""
    codes = ("en_XX", "fr_XX", "ro_RO")
    for template, leads in (("$A </s> en_XX", False), ("en_XX $A </s>", True)):
        tokenizer = with_codes(tmp_path, template, codes)
        ids = {code: tokenizer.id(code) for code in codes}
        found = processor(tokenizer=tokenizer, source_language="fr_XX", target_language="ro_RO")
        source = found.encode([Parallel("the cat")]).ids[0].tolist()
        (target,) = found.target_ids(["the cat"])
        place = 0 if leads else -1
        assert source[place] == ids["fr_XX"]
        assert target[place] == ids["ro_RO"]
        assert (found.languages.forced, found.languages.leads) == (ids["ro_RO"], leads)
        with refuses("unknown language 'ro_ro': did you mean 'ro_RO'?"):
            processor(tokenizer=tokenizer, target_language="ro_ro")


def test_marian_is_told_the_language_before_the_source(tmp_path):
    tokenizer = with_codes(tmp_path, "$A </s>", (">>fra<<", ">>ron<<"))
    found = processor(tokenizer=tokenizer, target_language="ron")
    assert found.encode([Parallel("the cat")]).ids[0][0] == tokenizer.id(">>ron<<")
    assert found.text([tokenizer.id("cat")]) == "cat"
    with refuses("unknown language 'rom': did you mean 'ron'?"):
        processor(tokenizer=tokenizer, target_language="rom")
    with pytest.raises(InputError, match="sees by itself what it reads"):
        processor(tokenizer=tokenizer, source_language="fra")
    with pytest.raises(InputError, match="this model is not told languages"):
        processor(target_language="fra")


def test_t5_is_told_by_a_prefix_what_to_write():
    """As its config's ``task_specific_params`` say, which pipelines followed; a user's own goes before."""
    german = "translate English to German: "
    facts = {"task_specific_params": {
        "summarization": {"prefix": "summarize: "}, "translation_en_to_de": {"prefix": german},
    }}  # fmt: skip
    none = {"source_language": None, "target_language": None}
    named = TextSettings(source_language="en", target_language="de")
    assert Summarization._prefix(facts, TextSettings()) == {"prefix": "summarize: ", **none}
    assert Translation._prefix(facts, named) == {"prefix": german}
    assert Translation._prefix(facts, TextSettings()) == {"prefix": "", **none}
    assert Translation._prefix(facts, TextSettings(prefix="to French: ")) == {"prefix": "to French: ", **none}
    assert Translation._prefix({}, named) == {"prefix": "", "source_language": "en", "target_language": "de"}


# -- answers that are parsed ---------------------------------------------------------------------------------------


def test_relations_are_those_between_the_marks():
    """Lists of triplets as cybertron's example parses them; what was cut off is left out."""
    text = "<s><triplet> Punta Cana <subj> Higuey <obj> located in <subj> Spain <obj> country <triplet> A <subj> B"
    assert relations_of(text.removeprefix("<s>")) == [
        Relation("Punta Cana", "located in", "Higuey"), Relation("Punta Cana", "country", "Spain"),
    ]  # fmt: skip
    assert relations_of("") == relations_of("no marks") == relations_of("<obj> r <subj> o <triplet>") == []


def test_marks_of_relations_are_special_tokens_that_are_kept(tmp_path):
    tokenizer = with_codes(tmp_path, "$A </s>", ("<triplet>", "<subj>", "<obj>"))
    found = processor(RelationProcessor, tokenizer=tokenizer, max_length=20)
    ids = tokenizer.encode("<triplet> the cat <subj> mat <obj> sat on").ids
    pad = tokenizer.special_ids["pad"]
    answer = found.written([[Written([pad, *ids, pad], -1.0), Written([pad, *ids], -2.0)]], Parallel("text", line=3))
    assert answer.relations == (Relation("the cat", "sat on", "mat"),)
    assert answer.to_text() == "the cat\tsat on\tmat\n"
    assert answer.to_dict()["relations"] == [{"subject": "the cat", "relation": "sat on", "object": "mat"}]
    assert answer.to_dict()["line"] == 3


def test_keywords_stand_between_semicolons():
    tokenizer = tokenizer_of("characters")
    found = processor(KeywordProcessor, tokenizer=tokenizer)
    texts = [Written([tokenizer.id(char) or 0 for char in "dog"], -1.0)]
    assert found.written([texts], Parallel("x")).keywords == ("dog",)


def test_what_is_read_and_what_is_written_have_limits_of_their_own():
    """On the command line settings and options stand side by side: no name may be both."""
    for name in PRETRAINED.names():
        task = PRETRAINED.find(name)
        assert not set(task.Options.model_fields) & set(task.Settings.model_fields), name


def test_passages_on_the_command_line_may_hold_commas():
    given = ["Who?", "--passages", "Ada, who wrote.", "--passages=Bo.", "--sample", "--num-beams", "2"]
    found = split("abstractive", given, AbstractiveQuestionAnswering.Options, AbstractiveQuestionAnswering.Settings)
    options = {"passages": ("Ada, who wrote.", "Bo."), "do_sample": True, "num_beams": 2}
    assert found == (["Who?"], options, {})


def test_a_question_is_read_with_its_passages():
    found = processor(AskedProcessor)
    asked = found.example("Who?", passages=["Ada.", "Bo."])
    assert asked.source == "question: Who? context: <P> Ada. <P> Bo."
    assert found.example(("Who?", ["Ada.", "Bo."])) == asked
    assert found.example({"question": "Who?", "passages": ["Ada.", "Bo."]}) == asked
    passage = type("Found", (), {"text": "Ada."})
    assert found.example(("Who?", [passage(), "Bo."])) == asked  # as passage-search finds them
    assert found.written([[Written([], -0.5)]], asked).to_dict()["question"] == "Who?"
    for value, message in (
        ("Who?", "'Who?' has no passages to answer from: give passages=, or both as a pair"),
        ((" ", ["Ada."]), "the question is empty"),
    ):
        with refuses(message):
            found.example(value)
