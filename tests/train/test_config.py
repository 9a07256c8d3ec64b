import pytest
import yaml

from spago_jax.errors import InputError
from spago_jax.train import load_experiment
from spago_jax.train.config import dump


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
    with pytest.raises(InputError, match=r"x.yaml.*key 'task' is missing: one of image-classification, text-"):
        load_experiment(tmp_path / "x.yaml")
