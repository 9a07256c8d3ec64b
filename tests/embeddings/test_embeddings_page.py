"""docs/embeddings.md: its configs are those of the schema, and its table has every kind."""

import re
from pathlib import Path
from typing import get_args

import yaml

from spago_jax.embeddings.stacked import EmbeddingConfig
from spago_jax.tasks.token_classification.config import TaggerConfig
from spago_jax.train.schema import InitConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "embeddings.md").read_text(encoding="utf-8")


def test_every_config_of_the_page_is_valid():
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        found = yaml.safe_load(block)
        TaggerConfig.model_validate(found["model"])
        if "init" in found:
            InitConfig.model_validate(found["init"])


def test_the_table_has_every_kind_of_embedding_with_keys_that_there_are():
    kinds = {config.model_fields["kind"].annotation: config for config in get_args(get_args(EmbeddingConfig)[0])}
    by_name = {get_args(kind)[0]: config for kind, config in kinds.items()}
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == set(by_name)
    for name, keys in rows:
        fields = {field.alias or key for key, field in by_name[name].model_fields.items()}
        assert set(re.findall(r"`(\w+)`", keys)) <= fields, name
