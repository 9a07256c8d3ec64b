# SPDX-License-Identifier: BSD-2-Clause
"""Messages by their names, as plain values and back."""

import importlib
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory, struct_pb2

PROTOS = ("spago", "bert", "bart", "sequencelabeler", "textgeneration", "zeroshot", "textclassification",
          "tokenclassification", "questionanswering", "textencoding", "languagemodeling")  # fmt: skip


@cache
def _registered() -> Any:
    for name in PROTOS:
        importlib.import_module(f"spago_jax.serve.grpc.protos.{name}_pb2")
    return descriptor_pool.Default()


def service(name: str) -> Any:
    """Returns the descriptor of a service, such as ``spago.v1.Spago``."""
    return _registered().FindServiceByName(name)


def message(name: str) -> Any:
    """Returns the class of a message, such as ``spago.v1.AnswerRequest``."""
    return message_factory.GetMessageClass(_registered().FindMessageTypeByName(name))


def fields_of(found: Any) -> dict[str, Any]:
    """Returns the fields of a message that are set, as plain values; 64-bit integers stay numbers.

    >>> fields_of(message("bert.grpcapi.ClassifyRequest")(text="a", has_text2=True, text2="b"))
    {'has_text2': True, 'text': 'a', 'text2': 'b'}
    """
    return {field.name: _plain(value) for field, value in found.ListFields()}


def _plain(value: Any) -> Any:
    if hasattr(value, "ListFields"):
        return fields_of(value)
    if isinstance(value, str | bytes | int | float):
        return value
    return [_plain(each) for each in value]


def value_of(plain: Any) -> Any:
    """Returns plain JSON as a ``Value``."""
    return json_format.ParseDict(plain, struct_pb2.Value())


def struct_of(plain: dict[str, Any]) -> Any:
    """Returns a plain object as a ``Struct``."""
    return json_format.ParseDict(plain, struct_pb2.Struct())


def plain_of(value: Any) -> Any:
    """Returns a ``Value`` or a ``Struct`` as plain JSON; whole numbers are integers, for it has only doubles.

    >>> plain_of(struct_of({"top_k": 3, "labels": ["a", 0.5]})) == {"top_k": 3, "labels": ["a", 0.5]}
    True
    """
    return _whole(json_format.MessageToDict(value))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value
