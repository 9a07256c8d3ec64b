"""Pre-trained models: loaded from every container, with every tied member alone; refused where anything is amiss."""

import json
import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, same_arrays
from tiny_pretrained import MASK, ids_for, sizes, their_output, transformers_model, write_tiny, write_vocabulary

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.core import flat
from spago_jax.errors import InputError, InputWarning
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface import load_pretrained
from spago_jax.interop.huggingface.sentence import SentencePipeline

SEQUENCE = {"head": "sequence-classification", "id2label": {"0": "no", "1": "maybe", "2": "yes"}}


def tensors_of(folder):
    with open_checkpoint(folder) as file:
        return {name: np.array(file.read(name)) for name in file.names()}


def refused(words, *arguments, **options):
    with pytest.raises(InputError) as caught:
        load_pretrained(*arguments, **options)
    assert "\n" not in str(caught.value)
    for word in words if isinstance(words, list) else [words]:
        assert word in str(caught.value)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "model"
    write_tiny(folder)
    return folder


@pytest.fixture
def changed(tiny, tmp_path):
    """Writes the tiny model with other tensors, or another config."""

    def write(change=None, **keys):
        folder = tmp_path / "changed"
        folder.mkdir(exist_ok=True)
        tensors = tensors_of(tiny)
        write_safetensors(folder / "model.safetensors", change(tensors) if change else tensors)
        facts = json.loads((tiny / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**facts, **keys}))
        return folder

    return write


# -- without transformers ----------------------------------------------------------------------------------------------


def test_a_model_is_what_its_file_says(tiny):
    found = load_pretrained(tiny)
    assert (found.head, found.pooling, found.generation) == ("masked-words", None, None)
    assert found.report.surplus == found.report.fresh == found.report.untied == ()
    assert found.report.tensors == len(tensors_of(tiny))
    assert found.report.parameters == sum(array.size for array in tensors_of(tiny).values())
    assert found.report.nbytes == 4 * found.report.parameters
    words = flat(found.model)["encoder.embeddings.words"]
    np.testing.assert_array_equal(words, tensors_of(tiny)["bert.embeddings.word_embeddings.weight"])
    assert found.model.logits(ids_for("bert"), MASK).shape == (2, 5, 23)


def test_file_to_model_to_file_changes_no_byte(tiny, tmp_path):
    load_pretrained(tiny).save(tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("dtype", "of_file"), [("float32", np.float16), ("bfloat16", np.float32), ("float32", np.float64)]
)
def test_the_dtype_is_that_which_was_asked_for(changed, dtype, of_file):
    folder = changed(lambda tensors: {name: array.astype(of_file) for name, array in tensors.items()})
    found = flat(load_pretrained(folder, dtype=dtype).model)
    assert {array.dtype.name for array in found.values()} == {dtype}
    expected = tensors_of(folder)["cls.predictions.bias"].astype(jnp.dtype(dtype))
    np.testing.assert_array_equal(found["head.bias"], expected)


def test_float64_needs_the_mode_of_jax(tiny):
    refused("JAX_ENABLE_X64=1", tiny, dtype="float64")
    refused("did you mean 'float32'", tiny, dtype="float3")
    with jax.enable_x64(True):
        assert flat(load_pretrained(tiny, dtype="float64").model)["head.bias"].dtype == np.float64


def test_a_saved_bfloat16_model_says_so_and_is_the_same(tiny, tmp_path):
    found = load_pretrained(tiny, dtype="bfloat16")
    found.save(tmp_path / "half")
    assert json.loads((tmp_path / "half/config.json").read_text())["dtype"] == "bfloat16"
    same_arrays(load_pretrained(tmp_path / "half", dtype="bfloat16").model, found.model)


def test_missing_tensors_are_an_error_that_lists_them(tiny, changed):
    folder = changed(
        lambda tensors: {n: x for n, x in tensors.items() if not n.startswith("cls.predictions.transform")}
    )
    missing = "cls.predictions.transform.dense.weight, cls.predictions.transform.dense.bias"
    refused(["lacks 4 of the tensors", missing, "allow_missing"], folder)
    refused("lacks 2 of the tensors", folder, allow_missing="*.dense.*")
    refused("classifier.weight, classifier.bias", tiny, head="token-classification")


def test_missing_tensors_start_at_random_where_that_is_allowed(tiny):
    options = {"head": "token-classification", "allow_missing": ["classifier.*"]}
    found, again = load_pretrained(tiny, **options), load_pretrained(tiny, **options)
    assert found.report.fresh == ("head.output.weight", "head.output.bias")
    assert np.std(found.model.head.output.weight) > 0
    same_arrays(found.model, again.model)  # from a fixed seed
    assert flat(load_pretrained(tiny, **{**options, "allow_missing": "head"}).model).keys() == flat(found.model).keys()


def test_some_layers_of_several_do_not_start_at_random(tiny, changed):
    """What the file has of the others would be lost."""
    folder = changed(num_hidden_layers=3)
    refused("encoder.layer.2.attention.self.query.weight", folder)
    refused("only start at random all together", folder, allow_missing="bert.encoder.layer.2.*")


def test_the_files_of_another_library_are_named(changed):
    folder = changed()
    (folder / "model.safetensors").rename(folder / "tf_model.h5")
    refused("lacks model.safetensors; there is tf_model.h5 (TensorFlow), which is not read", folder)


def test_quantized_tensors_are_refused(changed):
    name = "bert.encoder.layer.0.output.dense.weight"
    folder = changed(lambda tensors: {**tensors, name: tensors[name].astype(np.int8)})
    refused([name, "int8", "quantized"], folder)


def test_the_classifiers_that_other_pre_trainings_add_are_kept(tmp_path):
    tensors = write_tiny(tmp_path / "model", head="pretraining")
    tensors |= {"cls.species.weight": np.ones((6, 8), np.float32), "cls.species.bias": np.zeros(6, np.float32)}
    write_safetensors(tmp_path / "model/model.safetensors", tensors, {"format": "pt"})
    found = load_pretrained(tmp_path / "model")
    assert {name: layer.weight.shape for name, layer in found.model.head.classifiers.items()} == {
        "seq_relationship": (2, 8),
        "species": (6, 8),
    }
    found.save(tmp_path / "again")
    files = [tmp_path / folder / "model.safetensors" for folder in ("again", "model")]
    assert files[0].read_bytes() == files[1].read_bytes()
    write_safetensors(files[1], {**tensors, "cls.species.weight": np.float32(1.0)})
    refused("head.classifiers.species.weight", tmp_path / "model")


def test_surplus_tensors_are_listed(changed):
    folder = changed(
        lambda tensors: {**tensors, "extra.weight": np.ones(2), "bert.embeddings.position_ids": np.arange(3)}
    )
    assert load_pretrained(folder).report.surplus == ("extra.weight",)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("bert.embeddings.word_embeddings.weight", (22, 8)),
        ("bert.encoder.layer.1.output.dense.weight", (12, 8)),
        ("cls.predictions.bias", ()),
        ("bert.encoder.layer.0.attention.self.query.weight", (8,)),
    ],
)
def test_a_tensor_of_another_shape_is_refused(changed, name, shape):
    refused("shape", changed(lambda tensors: {**tensors, name: np.ones(shape, np.float32)}))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"auto_map": {"AutoModel": "modeling_x.Model"}}, ["Python code of its own", "modeling_x.Model", "modernbert"]),
        ({"model_type": "nomic_bert"}, ["model_type is 'nomic_bert'"]),
        (
            {"model_type": "opt"},
            ["model_type is 'opt'; supported are albert, bart, bert, camembert, distilbert"],
        ),
        ({"model_type": None}, ["supported are "]),
        ({"model_type": ["bert"]}, ["model_type is ['bert']"]),
        ({"architectures": ["BertLMHeadModel"]}, ["'BertLMHeadModel', which is not supported", "head="]),
        ({"architectures": "BertModel"}, ["expected a list of names"]),
        ({"position_embedding_type": "relative_key"}, ["position_embedding_type", "relative_key"]),
        ({"is_decoder": True}, ["is_decoder"]),
    ],
)
def test_a_config_that_cannot_be_honored_is_refused(changed, keys, words):
    refused([*words, "config.json"], changed(**keys))


def test_a_damaged_config_is_refused(changed):
    folder = changed()
    for text, words in (("{", "config.json:1: not JSON"), ("[1]", "holds a list"), ("\xff", "not JSON")):
        (folder / "config.json").write_text(text, "latin-1")
        refused(words, folder)
    (folder / "config.json").write_text("[" * 100_000)
    refused("not JSON", folder)


def test_a_head_that_the_architecture_lacks_is_refused(tiny):
    refused("did you mean 'masked-words'", tiny, head="masked-word")


def test_the_head_that_was_asked_for_counts_whatever_the_file_names(changed):
    assert load_pretrained(changed(architectures=["AntiBERTy"]), head="masked-words").head == "masked-words"


def test_labels_that_do_not_fit_the_head_are_refused(tmp_path):
    write_tiny(tmp_path, **SEQUENCE)
    assert load_pretrained(tmp_path).labels == ("no", "maybe", "yes")
    facts = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**facts, "id2label": {"0": "a", "1": "b"}, "label2id": None}))
    refused("3 outputs, and config.json names 2 labels", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in facts.items() if "label" not in k}))
    assert load_pretrained(tmp_path).labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_no_network_is_touched(tiny, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    load_pretrained(tiny, download="always")


def test_tokenizer_and_pipeline_are_copied_byte_for_byte(tiny, tmp_path):
    source = tmp_path / "source"
    write_tiny(source, head="pooler")
    write_vocabulary(source)
    (source / "tokenizer_config.json").write_text('{"do_lower_case":  true}')
    (source / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": ""}, {"type": "Normalize"}]))
    (source / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": ""}]))
    (source / "generation_config.json").write_text('{"num_beams": 4}')
    (source / "README.md").write_text("not copied")
    found = load_pretrained(source)
    assert found.generation == {"num_beams": 4}
    assert found.tokenizer.size == 23
    found.save(tmp_path / "copy")
    names = {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "modules.json"}
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {*names, "generation_config.json"}
    for name in ("vocab.txt", "tokenizer_config.json", "modules.json", "generation_config.json", "model.safetensors"):
        assert (tmp_path / "copy" / name).read_bytes() == (source / name).read_bytes()


def test_saving_takes_no_place_that_is_in_use(tiny, tmp_path):
    found = load_pretrained(tiny)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes").touch()
    (tmp_path / "file").touch()
    for place, words in (("other", "other things than a model"), ("file", "not a folder")):
        with pytest.raises(InputError, match=words):
            found.save(tmp_path / place, overwrite=True)
    found.save(tmp_path / "new")
    with pytest.raises(InputError, match="--overwrite"):
        found.save(tmp_path / "new")
    found.save(tmp_path / "new", overwrite=True)


def test_a_model_may_be_saved_over_itself(tmp_path):
    write_tiny(tmp_path / "model", head="pooler")
    write_vocabulary(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    load_pretrained(tmp_path / "model").save(tmp_path / "model", overwrite=True)
    after = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert after.keys() == before.keys()
    assert after["model.safetensors"] == before["model.safetensors"]


def test_a_save_that_fails_leaves_nothing(tiny, tmp_path, monkeypatch):
    import spago_jax.interop.huggingface.pretrained as module

    def fail(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(module, "write_safetensors", fail)
    with pytest.raises(OSError, match="full"):
        load_pretrained(tiny).save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# -- what users of spaGO and of other libraries have asked for ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra", "modernbert"])
def test_each_member_of_a_tied_group_fills_it(tmp_path, kind):
    """Files hold one member of tied tensors, or another, or several; a missing one went unnoticed elsewhere."""
    tensors = write_tiny(tmp_path, kind)
    expected = load_pretrained(tmp_path)
    decoder = {"bert": "cls.predictions.decoder", "distilbert": "vocab_projector", "electra": "generator_lm_head",
               "modernbert": "decoder"}[kind]  # fmt: skip
    (words,) = [name for name in tensors if name.endswith(("word_embeddings.weight", "tok_embeddings.weight"))]
    rest = {name: array for name, array in tensors.items() if name != words}
    groups = [{f"{decoder}.weight": tensors[words]}, {words: tensors[words], f"{decoder}.weight": tensors[words]}]
    for members in groups:
        write_safetensors(tmp_path / "model.safetensors", {**rest, **members})
        same_arrays(load_pretrained(tmp_path).model, expected.model)
    if kind == "bert":
        moved = {n: x for n, x in tensors.items() if n != "cls.predictions.bias"}
        moved["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
        write_safetensors(tmp_path / "model.safetensors", moved)
        same_arrays(load_pretrained(tmp_path).model, expected.model)
    write_safetensors(tmp_path / "model.safetensors", rest)
    refused(words, tmp_path)


def test_tied_members_that_differ_are_kept_apart_and_written_again(tiny, changed, tmp_path):
    other = np.ones((23, 8), np.float32)
    folder = changed(lambda tensors: {**tensors, "cls.predictions.decoder.weight": other})
    with pytest.warns(InputWarning, match="tied in this architecture and differ"):
        found = load_pretrained(folder)
    assert found.report.untied == ("head.decoder",)
    np.testing.assert_array_equal(found.model.head.decoder, other)
    found.save(tmp_path / "again")
    assert json.loads((tmp_path / "again/config.json").read_text())["tie_word_embeddings"] is False
    same_arrays(load_pretrained(tmp_path / "again").model, found.model)


def test_an_alias_in_the_metadata_fills_a_tied_tensor(tiny, tmp_path):
    tensors = tensors_of(tiny)
    words = tensors.pop("bert.embeddings.word_embeddings.weight")
    aliases = {"bert.embeddings.word_embeddings.weight": "somewhere.else"}
    write_safetensors(tmp_path / "model.safetensors", {**tensors, "somewhere.else": words}, aliases)
    (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())
    same_arrays(load_pretrained(tmp_path).model, load_pretrained(tiny).model)


@pytest.mark.parametrize("some", [False, True], ids=["every name", "some names"])
def test_a_prefix_is_added_or_stripped_name_by_name(tiny, changed, some):
    """A bare checkpoint, such as one of a base model, loads under a head, and the other way round."""

    def bare(tensors):
        return {n.removeprefix("bert.") if not some or "layer" in n else n: x for n, x in tensors.items()}

    same_arrays(load_pretrained(changed(bare)).model, load_pretrained(tiny).model)
    folder = changed()
    same_arrays(load_pretrained(folder, head="states").model.encoder, load_pretrained(tiny).model.encoder)


def test_the_old_names_of_layer_norms_are_read(tiny, changed):
    def old(tensors):
        names = {n: n.replace("LayerNorm.weight", "LayerNorm.gamma") for n in tensors}
        return {names[n].replace("LayerNorm.bias", "LayerNorm.beta"): x for n, x in tensors.items()}

    same_arrays(load_pretrained(changed(old)).model, load_pretrained(tiny).model)


@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_the_pooling_is_read_and_not_guessed(tmp_path, mode):
    write_tiny(tmp_path, head="pooler")
    modules = [{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}, {"type": "Normalize"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": mode}))
    found = load_pretrained(tmp_path)
    states = np.asarray(found.model.states(ids_for("bert"), MASK), np.float64)
    vectors = states[:, 0] if mode == "cls" else (states * MASK[..., None]).sum(1) / MASK.sum(1, keepdims=True)
    expected = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    close(found.pooling.pool(jnp.asarray(states, jnp.float32), MASK), expected)


def test_a_base_model_that_was_saved_without_its_pooler_loads(changed, tmp_path):
    tensors = write_tiny(tmp_path, head="pooler")
    assert load_pretrained(tmp_path).head == "pooler"
    write_safetensors(tmp_path / "model.safetensors", {n: x for n, x in tensors.items() if "pooler" not in n})
    assert load_pretrained(tmp_path).head == "states"


# -- against transformers ----------------------------------------------------------------------------------------------

KINDS = {
    "bert": "BertForSequenceClassification", "roberta": "RobertaForMaskedLM", "xlm-roberta": "XLMRobertaForMaskedLM",
    "camembert": "CamembertForTokenClassification", "distilbert": "DistilBertForMaskedLM",
    "electra": "ElectraForMaskedLM", "albert": "AlbertForMaskedLM", "mpnet": "MPNetForMaskedLM",
    "modernbert": "ModernBertForMaskedLM",
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs():
    """Models of transformers by architecture and class, made once."""
    pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("transformers", reason="needs transformers")
    made = {}

    def model(kind, class_name=None, **keys):
        key = (kind, class_name or KINDS[kind], *keys)
        if key not in made:
            made[key] = transformers_model(kind, class_name or KINDS[kind], **keys)
        return made[key]

    return model


def flax_tree(state):
    """The state of a model as Flax would have nested and named it."""
    tree = {}
    for name, tensor in state.items():
        *path, last = name.split(".")
        array = tensor.numpy()
        if last == "weight":
            embedding, norm = path[-1].endswith("embeddings"), "norm" in path[-1].lower()
            last = "embedding" if embedding else "scale" if norm else "kernel"
            array = array.T if last == "kernel" else array
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = np.ascontiguousarray(array)
    return tree


def write_form(model, folder, form):
    """Writes a model of transformers in one of the containers."""
    import torch
    from flax import serialization

    model.save_pretrained(folder)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if form == "safetensors":
        return
    if form == "3 shards":
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size="3KB")
        assert len(list(folder.glob("model-*.safetensors"))) >= 3
        return
    (folder / "model.safetensors").unlink()
    if form in ("zip", "legacy"):
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "zip")
    elif form == "3 pickles":
        names, places = list(state), {}
        for number in range(3):
            file = f"pytorch_model-{number}.bin"
            torch.save({name: state[name] for name in names[number::3]}, folder / file)
            places |= dict.fromkeys(names[number::3], file)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    else:
        (folder / "flax_model.msgpack").write_bytes(serialization.to_bytes(flax_tree(state)))


@pytest.mark.oracle
@pytest.mark.parametrize("form", ["safetensors", "3 shards", "zip", "legacy", "3 pickles", "msgpack"])
def test_every_container_gives_the_logits_of_transformers(theirs, tmp_path, form):
    model = theirs("bert")
    write_form(model, tmp_path, form)
    found = load_pretrained(tmp_path)
    assert found.head == "sequence-classification"
    close(found.model.logits(ids_for("bert"), MASK), their_output(model, "bert"))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_what_we_save(theirs, tmp_path, kind):
    import transformers

    model = theirs(kind)
    model.save_pretrained(tmp_path / "theirs")
    found = load_pretrained(tmp_path / "theirs")
    found.save(tmp_path / "ours")
    assert (tmp_path / "ours/model.safetensors").read_bytes() == (tmp_path / "theirs/model.safetensors").read_bytes()
    again, info = getattr(transformers, KINDS[kind]).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ours = np.asarray(found.model.logits(ids_for(kind), MASK))
    expected = their_output(again.eval(), kind)
    np.testing.assert_array_equal(expected, their_output(model, kind))
    close(ours[MASK == 1] if ours.ndim == 3 else ours, expected[MASK == 1] if ours.ndim == 3 else expected)


def _classes():
    from spago_jax.models.encoder.plans import PLANS

    return sorted({(kind, plan.class_name) for kind, plans in PLANS.items() for plan in plans.values()})


@pytest.mark.oracle
@pytest.mark.parametrize(("kind", "class_name"), _classes())
def test_every_head_of_every_architecture_goes_through_unchanged(theirs, tmp_path, kind, class_name):
    labels = 3 if class_name.endswith("Classification") else 2
    theirs(kind, class_name, num_labels=labels).save_pretrained(tmp_path / "theirs")
    found = load_pretrained(tmp_path / "theirs")
    assert found.report.surplus == found.report.fresh == found.report.untied == ()
    found.save(tmp_path / "ours")
    assert (tmp_path / "ours/model.safetensors").read_bytes() == (tmp_path / "theirs/model.safetensors").read_bytes()


@pytest.mark.oracle
def test_distilbert_encodes_texts_as_sentence_transformers_does(theirs, tmp_path):
    model = theirs("distilbert", "DistilBertModel")
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path)
    states = their_output(model, "distilbert").astype(np.float64)
    expected = (states * MASK[..., None]).sum(1) / MASK.sum(1, keepdims=True)
    ours = found.model.states(ids_for("distilbert"), MASK)
    close(SentencePipeline().pool(ours, MASK), expected)


@pytest.mark.oracle
def test_camembert_loads_as_the_roberta_that_it_is(theirs, tmp_path):
    model = theirs("camembert")
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path)
    assert found.head == "token-classification"
    close(
        np.asarray(found.model.logits(ids_for("camembert"), MASK))[MASK == 1],
        their_output(model, "camembert")[MASK == 1],
    )


@pytest.mark.oracle
def test_a_pickle_alone_is_read_and_safetensors_come_first(theirs, tmp_path):
    import torch

    model = theirs("bert")
    model.save_pretrained(tmp_path)
    other = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    torch.save(other, tmp_path / "pytorch_model.bin")
    assert np.any(load_pretrained(tmp_path).model.head.output.weight)
    (tmp_path / "model.safetensors").unlink()
    assert not np.any(load_pretrained(tmp_path).model.head.output.weight)


def test_the_tiny_configs_are_those_of_every_architecture():
    assert set(KINDS) == {kind for kind, _ in _classes()}
    assert all(sizes(kind) for kind in KINDS)
