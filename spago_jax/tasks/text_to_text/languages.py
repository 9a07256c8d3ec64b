# SPDX-License-Identifier: BSD-2-Clause
"""Marks of languages: what models of several languages are told about the texts that they read and write."""

import re

from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding

__all__ = ["Languages"]

_PREFIX = re.compile(r">>([^\s<>]+)<<")  # Marian's: before the source, the language to translate into
_CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")  # mBART's: beside each text, its own language


class Languages:
    """The languages of a tokenizer, and those that were chosen.

    Marian is told the language that it is to write by a token before the source (``>>fra<<``); mBART has a token of its
    own language beside each text (``fr_XX``).

    Args:
        tokenizer: of the sources.
        source: the language of the sources; None: none, or the one that the tokenizer's files say.
        target: the language of the targets.

    Attributes:
        prefix: what stands before each source.
        forced: the id of the language that is written, or None.
        leads: whether that id is the first token of a text, rather than what the decoder reads before it.

    Raises:
        InputError: for a language that the model does not have, with those that it has.
    """

    def __init__(self, tokenizer: SubwordTokenizer, source: str | None = None, target: str | None = None):
        self.prefix = ""
        self.forced: int | None = None
        self.leads = False
        self._ids: dict[bool, int | None] = {}
        self._codes: frozenset[int] = frozenset()
        if source is None and target is None:
            return
        forms = {id: token for id in range(tokenizer.size) if (token := _form(tokenizer, id))}
        prefixes = {match[1]: token for token in forms.values() if (match := _PREFIX.fullmatch(token))}
        codes = {token: id for id, token in forms.items() if _CODE.fullmatch(token)}
        if not prefixes and not codes:
            raise InputError(
                f"language {target or source!r}: this model is not told languages; leave source_language and "
                "target_language away"
            )
        if prefixes:
            if source is not None:
                raise InputError(
                    f"source_language {source!r}: this model sees by itself what it reads; give target_language alone"
                )
            assert target is not None
            name = target.removeprefix(">>").removesuffix("<<")
            if name not in prefixes:
                raise InputError(f"unknown language {target!r}: {did_you_mean(name, sorted(prefixes))}")
            self.prefix = f"{prefixes[name]} "
            return
        for language in (source, target):
            if language is not None and language not in codes:
                raise InputError(f"unknown language {language!r}: {did_you_mean(language, sorted(codes))}")
        self._codes = frozenset(codes.values())
        first = tokenizer.layout(False)[0]
        self.leads = first.sequence is None and first.id in self._codes
        self._ids = {False: codes.get(source or ""), True: codes.get(target or "")}
        self.forced = codes.get(target or "")

    def marked(self, encoding: Encoding, *, target: bool = False) -> list[int]:
        """Returns the ids of a text, with the token of its language where the tokenizer has put one."""
        wanted = self._ids.get(target)
        if wanted is None:
            return encoding.ids
        ids = list(encoding.ids)
        for place, (id, special) in enumerate(zip(ids, encoding.special_mask, strict=True)):
            if special and id in self._codes:
                ids[place] = wanted
        return ids


def _form(tokenizer: SubwordTokenizer, id: int) -> str:
    try:
        return tokenizer.token(id)
    except InputError:  # a vocabulary may have gaps
        return ""
