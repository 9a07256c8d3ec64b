# SPDX-License-Identifier: BSD-2-Clause
"""The JSON files of a model's folder."""

import json
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
        InputError: where it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", path=path, line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", path=path) from None


def read_object(path: Path) -> dict[str, Any]:
    """Returns the content of a file that holds a JSON object.

    Raises:
        InputError: where it cannot be read, or is not an object.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"holds a {type(found).__name__}, expected a JSON object", path=path)
    return found
