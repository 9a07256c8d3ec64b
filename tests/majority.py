"""A plain table of most frequent tags: the oracle of the baseline that is printed beside a tagger's scores."""

from collections import Counter
from collections.abc import Iterable, Sequence

from spago_jax.errors import InputError


def majority_baseline(
    train: Iterable[tuple[Sequence[str], Sequence[str]]], test: Iterable[Sequence[str]]
) -> list[list[str]]:
    """What a table of the most frequent tag of each token predicts: the score that a model has to beat.

    A token that was never seen gets the tag that is the most frequent of all. Ties go to the tag that comes
    first in the alphabet.

    >>> majority_baseline([(["x", "=", "x"], ["variable", "operator", "name"])], [["x", "=", "y"]])
    [['name', 'operator', 'name']]

    Args:
        train: Pairs of tokens and tags.
        test: Tokens.
    """
    counts: dict[str, Counter[str]] = {}
    overall: Counter[str] = Counter()
    for tokens, tags in train:
        for token, tag in zip(tokens, tags, strict=True):
            counts.setdefault(token, Counter())[tag] += 1
        overall.update(tags)
    if not overall:
        raise InputError("the majority baseline has no training tokens to count")

    def best(counter: Counter[str]) -> str:
        return min(counter, key=lambda tag: (-counter[tag], tag))

    table = {token: best(counter) for token, counter in counts.items()}
    default = best(overall)
    return [[table.get(token, default) for token in tokens] for tokens in test]
