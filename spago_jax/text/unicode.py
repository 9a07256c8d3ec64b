# SPDX-License-Identifier: BSD-2-Clause
"""What every text has to be: Unicode that can be written as UTF-8."""

from pathlib import Path

from spago_jax.errors import InputError


def refuse_surrogates(text: str, where: str = "", *, path: str | Path | None = None, line: int | None = None) -> str:
    """Returns the text, which must not hold halves of surrogate pairs.

    Python's strings can hold such a half (from ``"\\ud83d"`` in JSON, or a command-line argument that is not UTF-8),
    but no file in UTF-8 can: vocabularies and answers could not be written.

    Args:
        text: the text.
        where: put before the message.
        path: the file that the text came from.
        line: the line in the file.

    Raises:
        InputError: for the first such half, with its place.

    >>> refuse_surrogates("an emoji: " + chr(0xD83D))
    Traceback (most recent call last):
    spago_jax.errors.InputError: character 10 is half of a surrogate pair (U+D83D), which is not a character: ...
    """
    if text.isascii():  # known without a look at the text
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}character {error.start} is half of a surrogate pair (U+{ord(text[error.start]):04X}), which is not"
            " a character: the text was cut within one, or was not UTF-8",
            path=path,
            line=line,
        ) from None
    return text
