"""What a pickle that does harm is made of, and the proof that none was run."""

from pathlib import Path

import pytest

MARK = Path(__file__).parent / "ran-a-hostile-pickle"


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture(autouse=True)
def nothing_runs():
    """A module that imports it holds of each of its tests that no pickle has made the mark."""
    yield
    ran = MARK.exists()
    MARK.unlink(missing_ok=True)
    assert not ran, "a pickle was run"
