# SPDX-License-Identifier: BSD-2-Clause
"""A model whose tensors are spread over several files, with an index that says which is where."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.tensor_file import TensorFile


class ShardedFile(TensorFile):
    """The tensors of all shards of an index."""

    def __init__(self, index: Path, open_shard: Callable[[Path], TensorFile], rename: Callable[[str], str]):
        self.path = index
        places = read_index(index)
        missing = sorted(name for name in set(places.values()) if not os.path.isfile(index.parent / name))
        if missing:
            raise InputError(
                f"{len(missing)} of {len(set(places.values()))} shards are missing: {', '.join(missing[:5])}; "
                "copy or download them",
                path=index,
            )
        with ExitStack() as stack:
            shards = {name: stack.enter_context(open_shard(index.parent / name)) for name in set(places.values())}
            self._home = {rename(name): shards[shard] for name, shard in places.items()}
            for name, shard in self._home.items():
                if name not in shard:
                    raise InputError(f"tensor {name!r} should be in {shard.path.name}, and is not", path=index)
            self._open = stack.pop_all()

    def __contains__(self, name: object) -> bool:
        return name in self._home

    def names(self) -> tuple[str, ...]:
        """Returns the names of all tensors, in the order of the index."""
        return tuple(self._home)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return self._shard(name).shape(name)

    def dtype(self, name: str) -> np.dtype:
        """Returns the dtype of a tensor."""
        return self._shard(name).dtype(name)

    def read(self, name: str) -> np.ndarray:
        """Returns a read-only view into a mapped shard."""
        return self._shard(name).read(name)

    def copy(self, name: str, dtype: np.dtype | None = None) -> np.ndarray:
        """Returns a copy that JAX can take over."""
        return self._shard(name).copy(name, dtype)

    def close(self) -> None:
        """Closes all shards."""
        self._open.close()

    def _shard(self, name: str) -> TensorFile:
        if name not in self._home:
            raise InputError(f"no tensor {name!r} in its {len(self._home)}", path=self.path)
        return self._home[name]


def read_index(index: Path) -> dict[str, str]:
    """Returns the shard of each tensor, as an index file gives it.

    Raises:
        InputError: for an index that is damaged, or that names a file outside its folder.
    """
    try:
        content: Any = json.loads(index.read_text("utf-8"))
        places = content["weight_map"]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=index) from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"not an index of shards: {error!r}", path=index) from None
    if not isinstance(places, dict) or not places:
        raise InputError("the index has no tensors under 'weight_map'", path=index)
    for name, shard in places.items():
        plain = isinstance(shard, str) and shard not in ("", ".", "..") and not set(shard) & set("/\\\0")
        if not plain:
            raise InputError(f"tensor {name!r} is in {shard!r}, which is not a file beside the index", path=index)
    return places
