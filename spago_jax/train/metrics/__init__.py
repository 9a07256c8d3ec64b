# SPDX-License-Identifier: BSD-2-Clause
"""Metrics with mergeable states: entity F1, token scores, answers to questions, written texts, perplexity, means."""

from spago_jax.train.metrics.answer_scores import AnswerScores as AnswerScores
from spago_jax.train.metrics.answer_scores import NullScore as NullScore
from spago_jax.train.metrics.answer_scores import best_null_threshold as best_null_threshold
from spago_jax.train.metrics.entity_f1 import EntityF1 as EntityF1
from spago_jax.train.metrics.entity_f1 import EntityRow as EntityRow
from spago_jax.train.metrics.entity_f1 import score_conll_files as score_conll_files
from spago_jax.train.metrics.mean import Mean as Mean
from spago_jax.train.metrics.perplexity import Perplexity as Perplexity
from spago_jax.train.metrics.protocol import Metric as Metric
from spago_jax.train.metrics.text_scores import TextScores as TextScores
from spago_jax.train.metrics.token_scores import Confusion as Confusion
from spago_jax.train.metrics.token_scores import LabelRow as LabelRow
from spago_jax.train.metrics.token_scores import TokenScores as TokenScores
