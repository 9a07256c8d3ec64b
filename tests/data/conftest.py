# SPDX-License-Identifier: BSD-2-Clause
from contextlib import contextmanager

import pytest

from spago_jax.errors import InputError


@pytest.fixture(scope="session")
def refuses():
    """A context manager: the block raises an InputError of exactly this message."""

    @contextmanager
    def expecting(message):
        with pytest.raises(InputError) as caught:
            yield
        assert str(caught.value) == message

    return expecting
