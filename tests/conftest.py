import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
try:
    from hypothesis import settings
except ImportError:  # only the property tests need it
    pass
else:
    settings.register_profile("spago", deadline=None)  # a compilation is slow once, and that is no failure
    settings.load_profile("spago")


# A compiled program takes about six memory maps of its process, and Linux allows 65,530. At that number XLA's compiler
# takes the process down, in whatever test is running; a worker that runs half of the suite comes near it.
MANY_MAPS = 20_000


@pytest.fixture(scope="module", autouse=True)
def _few_programs():
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        import gc

        import jax

        jax.clear_caches()
        gc.collect()


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


# Tiny experiments and finished runs of them, for tests of training, of tasks and of the command line.
from tiny_runs import config, corpus, letters, mood, moods, pictures, trained  # noqa: E402, F401
