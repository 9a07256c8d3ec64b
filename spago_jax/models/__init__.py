# SPDX-License-Identifier: BSD-2-Clause
"""The models of this library, one folder each: config, model, recipe. Registered here, imported when asked for."""

from spago_jax.train.registry import register

register("sequence_labeler", "spago_jax.models.sequence_labeler.recipe:SequenceLabelerRecipe")
register("character_lm", "spago_jax.models.character_lm.recipe:CharacterLMRecipe")
register("mlp_classifier", "spago_jax.models.classifier.mlp_recipe:MLPClassifierRecipe")
register("text_classifier", "spago_jax.models.classifier.text_recipe:TextClassifierRecipe")
