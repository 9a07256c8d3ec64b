# SPDX-License-Identifier: BSD-2-Clause
"""What an experiment makes of its data, and what is likely to be wrong with it, without training."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spago_jax.data.batching import LengthBatches, shared_buckets
from spago_jax.embeddings.coverage import coverage
from spago_jax.errors import InputError
from spago_jax.train.schema import Experiment, StreamTrainConfig, TextTrainConfig
from spago_jax.train.task import Task

_ANY_LENGTH = 1 << 30

FEW_STEPS = 100
FEW_EXAMPLES = 100
CUT_SHARE = 0.01
FEW_BATCHES = 3  # per bucket
WASTE = 0.3
COVERED = 0.7


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the data.

    Attributes:
        name: train, dev or test.
        examples: how many there are; 0 for running text.
        steps: batches per epoch.
        lengths: tokens of each text, uncut; None for data without lengths.
    """

    name: str
    examples: int
    steps: int
    lengths: np.ndarray | None = None


def examine_data(experiment: Experiment) -> Iterator[str]:
    """Yields the findings line by line: sizes and lengths first, then one sentence of advice each.

    Raises:
        InputError: for bad data.
    """
    experiment.task_class.check(experiment)
    uncut = experiment
    if isinstance(experiment.train, TextTrainConfig):
        uncut = experiment.model_copy(update={"train": experiment.train.model_copy(update={"max_length": _ANY_LENGTH})})
    task = experiment.task_class.prepare(uncut)
    parts = list(_parts(task, experiment))
    for part in parts:
        about = _count(part.examples, "example") if part.examples else "text"
        line = f"{part.name:<6}{about}, {_count(part.steps, 'batch', 'batches')}"
        if part.lengths is not None:
            low, middle, high, most = (int(np.quantile(part.lengths, q)) for q in (0, 0.5, 0.95, 1))
            line += f"; tokens per text: {low} to {most}, median {middle}, 95% up to {high}"
        yield line
    found = list(advice(experiment, parts, list(covered_words(experiment, task))))
    yield ""
    yield from (f"* {line}" for line in found) if found else ["nothing that speaks against these settings was found"]


def _parts(task: Task, experiment: Experiment) -> Iterator[Part]:
    train = experiment.train
    text = isinstance(train, TextTrainConfig)
    cut = {name: np.minimum(rows.lengths, train.max_length) for name, rows in task.parts.items()} if text else {}
    for name in task.splits():
        rows = task.parts[name]
        if text:
            size = train.batch_size if name == "train" else train.eval_batch_size
            buckets = shared_buckets(list(cut.values()), train.buckets)
            batches = LengthBatches(cut[name], size, bucket_lengths=buckets, steps_per_block=train.steps_per_call)
        else:
            batches = task.batches(name, training=name == "train")
        blocks = batches.epoch(0)
        examples = 0 if isinstance(train, StreamTrainConfig) else len(rows)
        lengths = np.asarray(rows.lengths) if text else None
        yield Part(name, examples, sum(block.steps for block in blocks), lengths)


def covered_words(experiment: Experiment, task: Task) -> Iterator[tuple[str, float, float]]:
    """Yields, per file of word vectors, the share of the training words and of the training tokens with a vector."""
    configs = getattr(experiment.model, "embeddings", None) or ()
    corpus = getattr(task.parts.get("train"), "corpus", None)
    for config, indexer in zip(configs, getattr(task.processor, "indexers", ()), strict=False):
        found = None if corpus is None else coverage(indexer, corpus.lexicon)
        if found is not None:
            tokens, words = (1.0 - counts.none / max(counts.total, 1) for counts in found)
            yield config.vectors, words, tokens


def advice(
    experiment: Experiment, parts: Sequence[Part], covered: Sequence[tuple[str, float, float]] = ()
) -> Iterator[str]:
    """Yields what is likely to be wrong, one sentence each.

    Args:
        experiment: the experiment.
        parts: the parts of its data.
        covered: what ``covered_words`` yields.
    """
    train: Any = experiment.train
    by_name = {part.name: part for part in parts}
    if "train" not in by_name:
        raise InputError("data.train is missing: there is nothing to train on")
    own = by_name["train"]
    total = train.total_steps(own.steps)
    if own.examples and train.batch_size > own.examples:
        there = f"there are {own.examples} examples"
        yield f"train.batch_size = {train.batch_size}, and {there}: each batch is partly empty"
    if total < FEW_STEPS:
        yield (
            f"{total} training steps in all are few: try a smaller train.batch_size (now {train.batch_size}) "
            f"or more train.epochs (now {train.epochs})"
        )
    if train.steps_per_call > own.steps:
        yield f"train.steps_per_call = {train.steps_per_call}, and an epoch has {own.steps} steps: {own.steps} will do"
    if train.log_every > total:
        yield f"train.log_every = {train.log_every} is more than all {total} steps: there will be no curve of the loss"
    if isinstance(train, TextTrainConfig):
        yield from _lengths(train, [part for part in parts if part.lengths is not None], experiment.task)
    if "dev" not in by_name:
        yield "there is no dev part: the last checkpoint is taken, whatever it is worth"
    elif 0 < by_name["dev"].examples < FEW_EXAMPLES:
        share = 100 / by_name["dev"].examples
        yield f"dev has {by_name['dev'].examples} examples: one of them moves an accuracy by {share:.1f} points"
    for file, words, tokens in covered:
        if tokens < COVERED:
            yield (
                f"{file} has a vector for {100 * words:.0f}% of the training words ({100 * tokens:.0f}% of the "
                f"tokens): is it of this language, and are the words cut and cased as in the file?"
            )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _lengths(train: TextTrainConfig, parts: Sequence[Part], task: str) -> Iterator[str]:
    verb = "split" if task == "token-classification" else "cut"
    for part in parts:
        assert part.lengths is not None
        longer = int((part.lengths > train.max_length).sum())
        if longer > CUT_SHARE * len(part.lengths):
            enough = int(np.ceil(np.quantile(part.lengths, 0.99)))
            yield (
                f"{longer:,} of {len(part.lengths):,} texts of {part.name} are longer than train.max_length = "
                f"{train.max_length} tokens and are {verb}: 99% have at most {enough}"
            )
    own_part = next(part for part in parts if part.name == "train")
    if train.buckets > 1 and own_part.steps < FEW_BATCHES * train.buckets:
        yield (
            f"train.buckets = {train.buckets}, and an epoch has {_count(own_part.steps, 'batch', 'batches')}: "
            f"each bucket is compiled for little; fewer of them start sooner"
        )
    cut = [np.minimum(part.lengths, train.max_length) for part in parts if part.lengths is not None]
    own = next(np.minimum(p.lengths, train.max_length) for p in parts if p.name == "train" and p.lengths is not None)

    def waste(buckets: int) -> float:
        return LengthBatches(own, train.batch_size, bucket_lengths=shared_buckets(cut, buckets)).padding_waste()

    now = waste(train.buckets)
    if now > WASTE and (better := waste(2 * train.buckets)) < 0.8 * now:
        yield (
            f"{100 * now:.0f}% of what is computed is padding with train.buckets = {train.buckets}; "
            f"{100 * better:.0f}% with {2 * train.buckets}, for longer compilation"
        )
