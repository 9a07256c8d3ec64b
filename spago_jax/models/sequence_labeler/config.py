# SPDX-License-Identifier: BSD-2-Clause
"""The `data` and `model` sections of a sequence labeler."""

from typing import Literal

from pydantic import Field

from spago_jax.models.flows import FlowSteps
from spago_jax.models.tokens.config import TokensConfig
from spago_jax.train.schema import PositiveInt, Section


class ConllData(Section):
    """CoNLL column files."""

    kind: Literal["conll"]
    train: str | tuple[str, ...] | None = Field(
        default=None, description="training file, or a list of several (.gz too)"
    )
    dev: str | None = Field(default=None, description="file that picks the best checkpoint (null: the last is taken)")
    test: str | None = Field(default=None, description="file for the final scores")
    token_column: int = Field(default=0, description="column of the token, from 0")
    tag_column: int = Field(default=-1, description="column of the tag; -1 is the last")
    scheme: Literal["auto", "IOB1", "IOB2", "BIOES", "plain"] = Field(
        default="auto", description="how the file writes spans; plain tags are no spans (parts of speech)"
    )


class ConlluData(Section):
    """Universal Dependencies files in CoNLL-U format."""

    kind: Literal["conllu"]
    train: str | tuple[str, ...] | None = Field(
        default=None, description="training file, or a list of several (.gz too)"
    )
    dev: str | None = Field(default=None, description="file that picks the best checkpoint (null: the last is taken)")
    test: str | None = Field(default=None, description="file for the final scores")
    column: str = Field(default="upos", description="what to predict: upos, xpos, deprel, ...")


class PythonData(Section):
    """The source of Python's own standard library, each token tagged with its role in the syntax tree."""

    kind: Literal["python_source"]
    folder: str | None = Field(default=None, description="a folder of .py files; default: the standard library")
    train_tokens: PositiveInt | None = Field(default=None, description="use at most this many tokens for training")
    eval_tokens: PositiveInt | None = Field(default=None, description="use at most this many tokens of dev and of test")
    window: PositiveInt = Field(default=64, description="tokens of whole lines that are read together")


class SequenceLabelerConfig(TokensConfig):
    """A BiLSTM tagger (Huang et al., 2015; Lample et al., 2016; Ma and Hovy, 2016)."""

    kind: Literal["sequence_labeler"]
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="recurrent cell")
    hidden: PositiveInt = Field(default=256, description="units a direction")
    layers: PositiveInt = Field(default=1, description="stacked layers")
    merge: Literal["concat", "sum", "prod", "avg"] = Field(
        default="concat", description="how the directions are joined"
    )
    flow: FlowSteps = None
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of the inputs and outputs of the recurrent layers")
    variational: bool = Field(default=True, description="drop the same features at every position")
    word_dropout: float = Field(default=0.05, ge=0, lt=1, description="chance that a whole token is dropped")
    output: Literal["crf", "softmax"] = Field(default="crf", description="joint or single decisions")
    scheme: Literal["IOB2", "BIOES", "same"] = Field(default="BIOES", description="how spans are written for the model")
    recall_bias: float = Field(
        default=0.0,
        ge=0,
        description="cost, in nats a token, of reading an entity as O while training: finds more, with less precision",
    )
    ban_impossible: bool = Field(default=True, description="a CRF never emits what the scheme does not allow")
