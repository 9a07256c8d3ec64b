import gc
import os
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).resolve().parent.parent
try:
    from hypothesis import settings
except ImportError:  # only the property tests need it
    pass
else:
    settings.register_profile("spago", deadline=None)  # a compilation is slow once, and that is no failure
    settings.load_profile("spago")


# Compiled programs stay in memory until they are dropped, and those of the whole suite do not fit. A worker that has
# grown by this much drops them; the ones it needs again come from the cache on disk.
GROWTH = 500e6  # bytes
_floor = 0.0

# The search for leaked tracers collects garbage at every traced function, and a worker holds millions of objects (the
# tests themselves, JAX, PyTorch) that are never garbage: they are put aside, where a collection does not look.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True, scope="module")
def _short_collections():
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _little_memory():
    yield
    global _floor
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        return
    used = pages * os.sysconf("SC_PAGE_SIZE")
    _floor = _floor or used
    if used > _floor + GROWTH:
        gc.unfreeze()
        jax.clear_caches()
        gc.collect()
        gc.freeze()
        _floor = max(_floor, used - GROWTH / 2)  # what is not given back is used again


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


# The long tail: what takes long and seldom fails alone. `scripts/test` leaves it out; `scripts/test --all` and
# `.ci/run` run it, and so does naming the file.
EXTENDED = (
    "tests/cli/test_bad_input.py",
    "tests/cli/test_compare_command.py",
    "tests/cli/test_export_command.py",
    "tests/cli/test_graph_command.py",
    "tests/cli/test_layers_command.py",
    "tests/cli/test_run_command.py",
    "tests/cli/test_runs_command.py",
    "tests/cli/test_scripts.py",
    "tests/cli/test_search_command.py",
    "tests/cli/test_sweep_command.py",
    "tests/compiler/graph/test_graph_fingerprint.py",
    "tests/compiler/graph/test_graph_pictures.py",
    "tests/compiler/rewrite/test_simplify.py",
    "tests/compiler/rewrite/test_stabilize.py",
    "tests/compiler/ship/",
    "tests/compiler/test_compile_cache.py",
    "tests/compiler/test_placement.py",
    "tests/core/test_scopes.py",
    "tests/data/python/test_roles.py",
    "tests/eager/",
    "tests/embeddings/test_contextual.py",
    "tests/embeddings/test_part_rows.py",
    "tests/flow/test_ready_parts.py",
    "tests/interop/",
    "tests/models/",
    "tests/nn/test_recurrent_cells.py",
    "tests/nn/test_rnn_golden.py",
    "tests/nn/test_structural.py",
    "tests/notebooks/",
    "tests/ops/test_bench_device.py",
    "tests/ops/test_gradients.py",
    "tests/ops/test_losses_of_nothing.py",
    "tests/ops/test_lstm_cudnn.py",
    "tests/ops/test_recurrence.py",
    "tests/optim/test_depths.py",
    "tests/optim/test_differential_evolution.py",
    "tests/parity/",
    "tests/serve/test_loading_time.py",
    "tests/serve/test_prepared.py",
    "tests/spago/test_golden_cases.py",
    "tests/sweep/test_processes.py",
    "tests/system/",
    "tests/tasks/test_alphabets.py",
    "tests/tasks/test_character_lm_task.py",
    "tests/tasks/test_contextual_tagger.py",
    "tests/tasks/test_further_training.py",
    "tests/tasks/test_own_state.py",
    "tests/tasks/test_pretrained_search.py",
    "tests/tasks/test_text_to_text.py",
    "tests/tasks/test_text_to_text_training.py",
    "tests/tasks/test_weights_in_memory.py",
    "tests/test_readme.py",
    "tests/train/test_find_rate.py",
    "tests/train/test_resume_rules.py",
    "tests/train/test_start.py",
    "tests/train/test_steps.py",
    "tests/train/test_stored_rows.py",
    "tests/train/watch/",
)


# What takes longest belongs to the slow tier: tests that took more than two seconds of processor time with nothing
# compiled before, and that are not the only ones of their kind.
LONG = frozenset((Path(__file__).parent / "long_tests.txt").read_text(encoding="utf-8").splitlines())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(EXTENDED):
            item.add_marker(pytest.mark.extended)
        if item.nodeid in LONG:
            item.add_marker(pytest.mark.slow)


# Tiny experiments and finished runs of them, for tests of training, of tasks and of the command line.
from tiny_runs import config, corpus, letters, mood, moods, pictures, trained  # noqa: E402, F401
