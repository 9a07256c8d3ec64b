# SPDX-License-Identifier: BSD-2-Clause
"""Where the rows run: on the processor, or with ``--device gpu`` on a GPU, PyTorch's side too where it has CUDA."""

from collections.abc import Callable, Mapping

import jax
import torch

Work = Mapping[str, Callable[[], object]]


def use_gpu() -> str | None:
    """Puts PyTorch's tensors and modules on the GPU, where JAX's are anyway; what is wrong, if there is none."""
    if jax.default_backend() != "gpu":
        return (
            f"--device gpu: JAX finds no GPU, only {jax.devices()[0].platform!r}; it needs an NVIDIA GPU and JAX with "
            "CUDA (pip install 'jax[cuda12]')"
        )
    if torch.cuda.is_available():
        torch.set_default_device("cuda")
    return None


def peers(work: Work) -> Work:
    """The work as it can be timed here: on a GPU, PyTorch is waited for, and left out where it has no CUDA itself."""
    if jax.default_backend() != "gpu":
        return work
    return {
        name: _waiting(function) if "torch" in name.lower() else function
        for name, function in work.items()
        if torch.cuda.is_available() or "torch" not in name.lower()
    }


def _waiting(function: Callable[[], object]) -> Callable[[], object]:
    def run():
        function()
        torch.cuda.synchronize()  # its calls return before the work is done

    return run


def host(tensor: torch.Tensor):
    """The numbers of a tensor, wherever it lies, as a float32 array of NumPy."""
    return tensor.detach().float().cpu().numpy()
