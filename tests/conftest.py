import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _shared() -> Path:
    return Path(os.environ.get("SPAGO_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora; tests that need it skip where it is absent."""
    if not _shared().is_dir():
        pytest.skip("needs the corpora of ../shared/data (or $SPAGO_DATA)")
    return _shared()


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of numbers computed by spaGO; tests that need it skip where it is absent."""
    folder = _shared().parent / "golden"
    if not folder.is_dir():
        pytest.skip("needs the golden numbers of ../shared/golden")
    return folder
