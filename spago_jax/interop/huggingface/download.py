# SPDX-License-Identifier: BSD-2-Clause
"""Downloads a model from Hugging Face's hub into its cache. Needs the package ``huggingface_hub``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.find import INDEX
from spago_jax.interop.checkpoints.sharded import read_index
from spago_jax.interop.huggingface.layout import CONFIG, checkpoint_name, sentence_weights, small_files


def download_model(name: str, revision: str | None = None, token: str | None = None) -> Path:
    """Downloads the files that are needed, and returns their folder.

    ``config.json`` comes last: without it the cache does not count as having the model, so a download that was
    interrupted is taken up again where it ended.

    Raises:
        InputError: without the package, or where the hub refuses, cannot be reached, or has no such model.
    """
    hub = _library()
    where = f"{name} (revision {revision or 'main'})"

    def fetch(file: str) -> Path:
        return Path(_asking(where, hub.hf_hub_download, name, file, revision=revision, token=token))

    facts = _asking(where, hub.HfApi(token=token).model_info, name, revision=revision)
    names = [each.rfilename for each in facts.siblings or ()]
    checkpoint = checkpoint_name(names)
    if checkpoint is None or CONFIG not in names:
        raise InputError(
            f"{where} on the hub has no {CONFIG} with a model.safetensors, pytorch_model.bin or flax_model.msgpack"
        )
    for file in [*small_files(names), *sentence_weights(names)]:
        if file != CONFIG:
            fetch(file)
    path = fetch(checkpoint)
    if checkpoint.endswith(INDEX):
        for shard in sorted(set(read_index(path).values())):
            fetch(shard)
    return fetch(CONFIG).parent


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            "downloads need the package huggingface_hub: pip install 'spago_jax[hub]' (or pip install huggingface_hub)"
        ) from None
    return huggingface_hub


def _asking(where: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except Exception as error:  # whatever the library, its HTTP client and the system may raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2])[:300] or type(error).__name__
        raise InputError(f"{where} cannot be downloaded ({type(error).__name__}): {reason}") from None
