# SPDX-License-Identifier: BSD-2-Clause
"""Which heads each encoder-decoder has. Data."""

from spago_jax.models.encoder.plans import HeadPlan


def _heads(name: str, *, words: str = "", classifiers: bool = False) -> dict[str, HeadPlan]:
    found = {"states": HeadPlan(f"{name}Model"), "words": HeadPlan(words or f"{name}ForConditionalGeneration")}
    if classifiers:
        found["sequence-classification"] = HeadPlan(
            f"{name}ForSequenceClassification",
            dense="classification_head.dense",
            output="classification_head.out_proj",
            activation="tanh",
            before="classifier_dropout",
            after="classifier_dropout",
        )
        found["question-answering"] = HeadPlan(f"{name}ForQuestionAnswering", output="qa_outputs", outputs=2)
    return found


PLANS: dict[str, dict[str, HeadPlan]] = {
    "bart": _heads("Bart", classifiers=True),
    "mbart": _heads("MBart", classifiers=True),
    "marian": _heads("Marian", words="MarianMTModel"),
    "pegasus": _heads("Pegasus"),
    "t5": _heads("T5"),
    "mt5": _heads("MT5"),
}
"""Every head by architecture and name; ``words`` are the logits of the next word, which texts are written with."""
