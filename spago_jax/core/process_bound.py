# SPDX-License-Identifier: BSD-2-Clause
"""Objects that belong to their process: copied by reference, as functions are, and never pickled."""

from typing import Any, ClassVar, NoReturn, Self, SupportsIndex

from spago_jax.errors import InputError


class ProcessBound:
    """Base of what holds compiled programs: a copy is the object itself, and pickling it is refused.

    Attributes:
        instead: what to do in place of pickling it, for the error.
    """

    instead: ClassVar[str]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses to be pickled.

        Raises:
            InputError: always, with what to do instead.
        """
        raise InputError(f"{type(self).__name__} cannot be pickled, it belongs to this process: {self.instead}")
