"""Apps over fakes, asked in this process without a socket."""

import shutil

import pytest
from fakes import Letters, Writer, engine
from local_door import Door

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.http import Shared

INSTALL = "pip install -e '.[pages]'"


@pytest.fixture
def door():
    """Makes an app over fakes; closes its engine."""
    made = []

    def make(*predictors, config=None, keys=None, collections=None, reload=None, ping=15.0, **limits) -> Door:
        from spago_jax.serve.metrics import Metrics

        metrics = Metrics()
        found = engine(*(predictors or (Letters(), Writer())), meter=metrics, **limits)
        more = {} if reload is None else {"reload": reload}
        shared = Shared(found, ServeConfig(**(config or {})), metrics, keys, dict(collections or {}), ping=ping, **more)
        made.append(found)
        return Door(shared)

    yield make
    for each in made:
        each.close(1)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def chromium():
    """A browser, where there is one."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    playwright = pytest.importorskip("playwright.sync_api", reason=f"needs playwright: {INSTALL}")
    if browser is None:
        pytest.skip("needs Chromium on the PATH: apt-get install chromium, or brew install --cask chromium")
    with playwright.sync_playwright() as run:
        made = run.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        yield made
        made.close()
