# SPDX-License-Identifier: BSD-2-Clause
"""Translation: the predictor of ``translation``."""

from typing import ClassVar

from spago_jax.tasks.text_to_text.predictor import TextToText


class Translation(TextToText):
    """Writes texts in another language.

    Models of several languages are told which by the settings ``source_language`` and ``target_language``: the codes of
    the model (``fra`` of Marian's ``>>fra<<``, ``fr_XX`` of mBART).
    """

    name: ClassVar[str] = "translation"
