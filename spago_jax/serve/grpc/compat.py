# SPDX-License-Identifier: BSD-2-Clause
"""The services of spaGO 0.7 and of cybertron, by their own messages."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from spago_jax.serve.compat import cybertron, spago
from spago_jax.serve.compat.call import Call
from spago_jax.serve.grpc.door import outcomes, timeout_of
from spago_jax.serve.grpc.messages import fields_of, message, service
from spago_jax.serve.http.shared import Shared

SERVICES: dict[str, dict[str, dict[str, Call]]] = {
    "spago": {
        "bert.grpcapi.BERT": {
            "Answer": spago.ANSWER, "Discriminate": spago.DISCRIMINATE, "Predict": spago.PREDICT,
            "Encode": spago.ENCODE, "Classify": spago.CLASSIFY,
        },
        "bart.grpcapi.BART": {
            "Classify": spago.CLASSIFY, "ClassifyNLI": spago.CLASSIFY_NLI, "Generate": spago.GENERATE,
        },
        "sequencelabeler.grpcapi.SequenceLabeler": {"Analyze": spago.TAG},
    },
    "cybertron": {
        "textgeneration.v1.TextGenerationService": {"Generate": cybertron.GENERATE},
        "zeroshot.v1.ZeroShotService": {"Classify": cybertron.ZERO_SHOT},
        "textclassification.v1.TextClassificationService": {"Classify": cybertron.CLASSIFY},
        "tokenclassification.v1.TokenClassificationService": {"Classify": cybertron.TAG},
        "questionanswering.v1.QuestionAnsweringService": {"ExtractAnswer": cybertron.ANSWER},
        "textencoding.v1.TextEncodingService": {"Encode": cybertron.ENCODE},
        "languagemodeling.v1.LanguageModelingService": {"Predict": cybertron.PREDICT},
    },
}  # fmt: skip


def compat_methods(shared: Shared, name: str, calls: Mapping[str, Call]) -> dict[str, Callable[..., Any]]:
    """Returns the methods of a service of another system."""
    return {method.name: _method(shared, method, calls[method.name]) for method in service(name).methods}


def _method(shared: Shared, method: Any, call: Call) -> Callable[..., Any]:
    made = message(method.output_type.full_name)
    known = {field.name for field in method.output_type.fields}

    async def answer(request: Any, context: Any) -> Any:
        began = time.perf_counter()
        fields = _fields(fields_of(request))
        (outcome,) = await outcomes(context, call.submit(shared.engine, fields, timeout_of(context)))
        found = call.answer(outcome, fields)
        if "data" in found:  # as spaGO's route calls it; its message does not
            found["vector"] = found.pop("data")
        if "took" in known:
            found["took"] = int(1000 * (time.perf_counter() - began))
        return made(**{key: value for key, value in found.items() if value is not None})

    return answer


def _fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a message as those of the route: flags that stand alone become options."""
    if not fields.pop("has_text2", False):
        fields.pop("text2", None)
    flags = {name: fields.pop(name) for name in ("mergeEntities", "filterNotEntities") if name in fields}
    return fields | ({"options": flags} if flags else {})
