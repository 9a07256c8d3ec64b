import pytest
import yaml

from spago_jax.errors import InputError
from spago_jax.train import load_experiment
from spago_jax.train.config import dump
from spago_jax.train.start import assets_of
from spago_jax.train.yaml_source import read


def test_overrides_are_yaml_and_applied_last(config):
    experiment = load_experiment(config, ["train.epochs=7", "optimizer.learning_rate=1e-4", "model.dropout=0"])
    assert experiment.train.epochs == 7
    assert experiment.optimizer.learning_rate == 1e-4
    assert experiment.model.dropout == 0.0


def test_dump_reads_back_as_the_same_experiment(config, tmp_path):
    experiment = load_experiment(config)
    (tmp_path / "again.yaml").write_text(dump(experiment))
    assert load_experiment(tmp_path / "again.yaml") == experiment


def test_extends_overlays_section_by_section(config, tmp_path):
    (tmp_path / "child.yaml").write_text(f"extends: {config}\nname: child\ntrain: {{epochs: 9}}\n")
    child, parent = load_experiment(tmp_path / "child.yaml"), load_experiment(config)
    assert (child.name, child.train.epochs) == ("child", 9)
    assert child.train.batch_size == parent.train.batch_size
    assert child.model == parent.model


def test_extends_drops_the_keys_of_another_kind(config, tmp_path):
    model = "{encoder: {kind: flow, steps: [gelu]}}"
    text = f"extends: {config}\nname: other\ndata: {{format: python-source}}\nmodel: {model}\n"
    (tmp_path / "child.yaml").write_text(text)
    child = load_experiment(tmp_path / "child.yaml")
    assert child.data.format == "python-source"
    assert child.model.encoder.kind == "flow"


def test_relative_paths_are_relative_to_the_config(corpus, tmp_path, monkeypatch):
    text = (corpus / "tiny.yaml").read_text().replace(f"{corpus}/", "./")
    (corpus / "relative.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert load_experiment(corpus / "relative.yaml").data.train == str(corpus / "train.conll")


def test_environment_variables(config, tmp_path, monkeypatch):
    (tmp_path / "env.yaml").write_text(f"extends: {config}\nname: ${{WHO:-nobody}}\n")
    monkeypatch.delenv("WHO", raising=False)
    assert load_experiment(tmp_path / "env.yaml").name == "nobody"
    monkeypatch.setenv("WHO", "somebody")
    assert load_experiment(tmp_path / "env.yaml").name == "somebody"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"epoch": 3}}, r"tiny.yaml:2: unknown key 'train.epoch': did you mean 'epochs'\?"),
        ({"trian": {}}, r"tiny.yaml:2: unknown key 'trian': did you mean 'train'\?"),
        ({"train": {"epochs": "many"}}, r"tiny.yaml:2: train.epochs = 'many': should be a valid integer"),
        ({"train": {"epochs": 0}}, r"train.epochs = 0: should be greater than or equal to 1"),
        ({"model": {"encoder": {"hiden": 3}}}, r"unknown key 'model.encoder.hiden': did you mean 'hidden'\?"),
        (
            {"model": {"embeddings": [{"kind": "words", "siz": 3}]}},
            r"unknown key 'model.embeddings.0.siz': did you mean 'size'\?",
        ),
        ({"model": {"embeddings": [{"kind": "word"}]}}, r"model.embeddings.0.kind = 'word': did you mean 'words'\?"),
        ({"model": {"embeddings": [{"size": 3}]}}, r"key 'model.embeddings.0.kind' is missing"),
        ({"model": {"embeddings": ["words"]}}, r"model.embeddings.0 = 'words': should be a mapping"),
        ({"model": {"output": "crff"}}, r"model.output = 'crff': should be 'crf' or 'softmax'"),
        (
            {"task": "token-clasification", "model": {}},
            r"tiny.yaml:\d: unknown task 'token-clasification': did you mean 'token-cl",
        ),
        ({"data": {"format": "conl"}}, r"tiny.yaml:2: data.format = 'conl': did you mean 'conll'"),
        ({"data": "x.conll", "model": {}}, r"data = 'x.conll': should be a mapping"),
        ({"model": {"tokenizer": "word"}}, r"unknown tokenizer 'word': did you mean 'words'"),
        ({"optimizer": {"name": "adm"}}, r"optimizer.name = 'adm': should be 'sgd', 'adam'"),
        ({"optimizer": {"schedule": {"name": "cosine", "warm": 1}}}, r"'optimizer.schedule.warm': did you mean 'warmu"),
        ({"optimizer": {"nesterov": True}}, r"option|nesterov"),
        ({"data": {"train": "/nowhere/x.conll"}}, r"/nowhere/x.conll: data.train: no such file"),
    ],
)
def test_mistakes_name_key_file_and_line(config, tmp_path, change, message):
    (tmp_path / "tiny.yaml").write_text(f"extends: {config}\n{yaml.safe_dump(change, default_flow_style=None)}")
    with pytest.raises(InputError, match=message):
        load_experiment(tmp_path / "tiny.yaml")


def test_a_missing_key(tmp_path):
    (tmp_path / "x.yaml").write_text("task: text-generation\nname: x\ndata: {format: python-docs}\nmodel: {}\n")
    with pytest.raises(InputError, match="key 'optimizer' is missing"):
        load_experiment(tmp_path / "x.yaml")


def test_several_mistakes_are_all_named(config):
    with pytest.raises(InputError) as error:
        load_experiment(config, ["train.epoch=3", "train.batch=2"])
    assert "train.epoch'" in str(error.value)
    assert "train.batch'" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", r"x.yaml:\d+: not valid YAML"),
        ("- 1\n", "an experiment is a YAML mapping"),
        ("", "an experiment is a YAML mapping"),
        ("extends: x.yaml\n", "extends goes round in a circle: x.yaml -> x.yaml"),
        ("extends: nowhere.yaml\n", "nowhere.yaml: no such config file"),
        ("name: ${NO_SUCH_VARIABLE}\n", "the environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_files_that_are_no_experiment(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_experiment(tmp_path / "x.yaml")


def test_a_misspelt_file_name(config):
    with pytest.raises(InputError, match=r"no such config file; did you mean 'tiny.yaml'\?"):
        load_experiment(config.with_name("tyni.yaml"))


@pytest.mark.parametrize("override", ["train.epochs", "=3"])
def test_overrides_of_another_form(config, override):
    with pytest.raises(InputError, match="is not of the form key.sub=value"):
        load_experiment(config, [override])


def test_an_experiment_may_be_a_mapping(config):
    settings = yaml.safe_load(config.read_text())
    assert load_experiment(settings) == load_experiment(config)
    assert load_experiment(settings, ["train.epochs=7"]).train.epochs == 7
    assert settings["train"]["epochs"] == 4  # what was given stays as it was
    with pytest.raises(InputError, match=r"^unknown key 'train.epoch': did you mean 'epochs'\?$"):
        load_experiment({**settings, "train": {"epoch": 3}})


def test_a_config_without_a_task(tmp_path):
    (tmp_path / "x.yaml").write_text("name: x\n")
    with pytest.raises(InputError, match=r"x.yaml.*key 'task' is missing: one of fill-mask, image-classification, "):
        load_experiment(tmp_path / "x.yaml")


# -- YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\ntask: b\nname: c\n", r"x.yaml:3: not valid YAML: the key 'name' is there twice, in lines 1 and 3"),
        ("train:\n  epochs: 1\n  epochs: 2\n", r"x.yaml:3: .*'train.epochs' is there twice, in lines 2 and 3"),
        ("train: {epochs: 1, epochs: 2}\n", r"x.yaml:1: .*'train.epochs' is there twice, in line 1"),
        ("train: &t\n  again: *t\n", r"x.yaml:1: .*an alias stands for a part that it is in itself"),
        ("[" * 3000, r"not valid YAML: nested too deeply"),
        ("? [1, 2]\n: 3\n", r"not valid YAML"),
    ],
)
def test_yaml_that_would_be_misread_is_refused(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_experiment(tmp_path / "x.yaml")


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path):
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    (tmp_path / "x.yaml").write_text(bomb)
    with pytest.raises(InputError, match="its aliases stand for more than 200,000 values"):
        load_experiment(tmp_path / "x.yaml")


def test_aliases_and_merges_that_mean_something_are_read(tmp_path):
    (tmp_path / "x.yaml").write_text("a: &a {b: 1, c: 2}\nd: *a\ne:\n  <<: *a\n  b: 3\n")
    assert read(tmp_path / "x.yaml").tree == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"b": 3, "c": 2}}


@pytest.mark.parametrize(
    ("override", "value"),
    [("name=a#b", "a#b"), ("name=a #b", "a #b"), ("name=#b", "#b"), ("name='a # b'", "a # b"), ("name=", None)],
)
def test_a_hash_in_an_override_begins_no_comment(override, value):
    assert read({}, [override]).tree == {"name": value}


def test_overrides_that_are_refused(config):
    with pytest.raises(InputError, match=r"override 'a=\[1\] # x': the value is not YAML: after the value there is"):
        read({}, ["a=[1] # x"])
    with pytest.raises(InputError, match=r"unknown key 'train.²'"):
        load_experiment(config, ["train.²=3"])


def test_one_text_is_not_a_list_of_letters(config):
    experiment = load_experiment(config, "train.epochs=7")
    assert experiment.train.epochs == 7
    init = load_experiment(config, ["init={from: x, freeze: encoder, allow_missing: scorer.*}"], files=False).init
    assert (init.freeze, init.allow_missing) == (("encoder",), ("scorer.*",))


def test_an_empty_environment_variable_is_said_to_be_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "x.yaml").write_text("name: ${EMPTY}\n")
    with pytest.raises(InputError, match="EMPTY is set, but empty, and '.*' gives no default"):
        read(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_text("name: a${EMPTY:-}b\n")
    assert read(tmp_path / "x.yaml").tree == {"name": "ab"}


def test_paths_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text("name: base\nother: 1\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.yaml").write_text("extends: ~/base.yaml\ndata: {train: ~/a.txt}\n")
    source = read(tmp_path / "deep" / "x.yaml", ["data.dev=~/b.txt"])
    assert source.tree["data"] == {"train": f"{tmp_path}/a.txt", "dev": f"{tmp_path}/b.txt"}
    assert source.tree["other"] == 1


def test_a_config_that_extends_another_has_a_name_and_a_description_of_its_own(tmp_path):
    (tmp_path / "base.yaml").write_text("name: base\ndescription: the first try\nseed: 3\n")
    (tmp_path / "wider.yaml").write_text("extends: base.yaml\n")
    assert read(tmp_path / "wider.yaml").tree == {"name": "wider", "seed": 3}
    (tmp_path / "deeper.yaml").write_text("extends: wider.yaml\nname: deep\ndescription: more layers\n")
    assert read(tmp_path / "deeper.yaml").tree == {"name": "deep", "description": "more layers", "seed": 3}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.early_stopping=3", "train.early_stopping = 3: should be a mapping, such as {patience: 3}"),
        ("optimizer=adam", "optimizer = 'adam': should be a mapping, such as {name: adam}"),
        ("optimizer.schedule=3", "optimizer.schedule = 3: should be a mapping, such as {name: constant}"),
        ("optimizer.groups=3", "optimizer.groups = 3: should be a list, such as [{match: ...}]"),
        ("optimizer.betas=0.9", "optimizer.betas = 0.9: should be a list, such as [0.9, 0.999]"),
        ("init=runs/x", "init = 'runs/x': should be a mapping, such as {from: ...}"),
    ],
)
def test_what_should_be_a_mapping_or_a_list_shows_one(config, override, message):
    with pytest.raises(InputError) as error:
        load_experiment(config, [override])
    assert str(error.value).endswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.betas=[0.9]", r"optimizer\.betas = \[0\.9\]: should have more items than 1"),
        (f"data.train={'x' * 300}", "data.train: no such file"),
        (f"data.train=[{'x' * 300}/a]", "data.train: no such file"),
        ("data.train=''", "at least 1 character"),
        (f"init={{from: {'x' * 300}}}", None),
    ],
)
def test_values_that_cannot_be_are_refused(config, override, message):
    if message is None:  # looked at when training starts
        with pytest.raises(InputError, match="neither the folder of a run nor an exported folder"):
            assets_of(load_experiment(config, [override]).init)
        return
    with pytest.raises(InputError, match=message):
        load_experiment(config, [override])


@pytest.mark.parametrize("name", ["a\\0b", "x" * 300])
def test_a_name_that_no_config_can_have_is_refused(tmp_path, name):
    (tmp_path / "a.yaml").write_text(f'extends: "{name}"\n')
    with pytest.raises(InputError, match="cannot read the config"):
        read(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("task", "keys"),
    [("text-generation", ["train"]), ("image-classification", ["train_images", "train_labels"])],
)
def test_the_paths_of_every_format_are_made_absolute(corpus, monkeypatch, task, keys):
    monkeypatch.chdir(corpus)
    names = {"text-generation": ["letters.txt"], "image-classification": ["images.idx", "labels.idx"]}[task]
    config = {"text-generation": "letters.yaml", "image-classification": "images.yaml"}[task]
    data = load_experiment(config, [f"data.{key}={name}" for key, name in zip(keys, names, strict=True)]).data
    assert [getattr(data, key) for key in keys] == [str(corpus / name) for name in names]
