# SPDX-License-Identifier: BSD-2-Clause
"""Events: server-sent events from bytes that are cut anywhere."""

import codecs
import re
from collections.abc import Iterator

_END = re.compile(r"\r\n|\n|\r")


class Events:
    r"""Reads server-sent events from pieces of bytes.

    >>> events = Events()
    >>> [*events.feed(b"event: token\nda"), *events.feed(b"ta: 1\n\n")]
    [('token', '1')]
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._text, self._name, self._data = "", "message", []

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        """Yields the events, name and data, that end in some more bytes."""
        self._text += self._decode.decode(data)
        while (found := _END.search(self._text)) is not None:
            # a carriage return at the end may be half of a line end
            if found.group() == "\r" and found.end() == len(self._text):
                return
            line, self._text = self._text[: found.start()], self._text[found.end() :]
            if not line:
                if self._data:
                    yield self._name, "\n".join(self._data)
                self._name, self._data = "message", []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._name = value
            elif name == "data":
                self._data.append(value)
