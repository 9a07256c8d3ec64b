# SPDX-License-Identifier: BSD-2-Clause
"""Loads and runs an exported program. Needs JAX and NumPy and nothing else; a copy lies in every exported folder.

from load_program import load_program
program = load_program(".")
print(program)                      # what it takes and gives
outputs = program(...)              # NumPy or JAX arrays of any size that the specs allow
"""

import hashlib
import json
import struct
import sys
import types
from pathlib import Path

import jax
import jax.export
import ml_dtypes
import numpy as np

FORMAT_VERSION = 1
"""The newest format that this file reads."""


class ProgramError(ValueError):
    """The folder cannot be used, or the arguments are not what the program takes."""


def load_program(folder, *, check=True):
    """Opens an exported folder.

    Args:
        folder: the path of the folder.
        check: compare every file with the checksum that was written at export.

    Returns:
        A ``LoadedProgram``.

    Raises:
        ProgramError: for a missing, truncated or changed file, a newer format, or another platform.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, check=check)
    if check:
        for name, facts in manifest["files"].items():
            _check_file(folder / name, facts)
    _check_process(folder, manifest)
    entries = []
    for entry in manifest["entries"]:
        try:
            exported = _deserialize(_read(folder / entry["file"]))
        except ProgramError:
            raise
        except Exception as error:
            raise ProgramError(f"{folder / entry['file']}: no exported program of JAX: {_first_line(error)}") from error
        entries.append((entry, exported))
    weights = read_safetensors(folder / "weights.safetensors")
    return LoadedProgram(folder, manifest, entries, _checked_weights(manifest, weights))


class LoadedProgram:
    """A program that runs on arrays; make one with ``load_program``.

    Attributes:
        name: as it was exported.
        weights: ``{path: array}``.
        manifest: all that was written down at export.
        platforms: where it runs, of ``cpu``, ``cuda``, ``rocm`` and ``tpu``.
        differentiable: whether ``vjp`` and ``gradient`` work.
        metadata: what was put beside it (names of tags, ...).
    """

    def __init__(self, folder, manifest, entries, weights):
        self.folder, self.manifest = Path(folder), manifest
        self.name = manifest["name"]
        self.platforms = tuple(manifest["platforms"])
        self.differentiable = bool(manifest["differentiable"])
        self.metadata = manifest["metadata"]
        self.weights = weights
        self._entries = entries
        self._jitted = [jax.jit(exported.call) for _, exported in entries]
        self._trainable = [path for path, facts in manifest["weights"].items() if facts["trainable"]]

    def __reduce__(self):
        return load_program, (str(self.folder.resolve()),)

    def __repr__(self):
        lines = [f"LoadedProgram({self.name!r}"]
        lines += [f"  {name}: {_show(tree)}" for name, tree in self.specs.items()]
        lines += [f"  -> {_show(entry['outputs'])}{_sizes(entry['sizes'])}" for entry, _ in self._entries]
        count = sum(int(np.prod(facts["shape"])) for facts in self.manifest["weights"].values())
        lines += [f"  {count:,} numbers in {len(self.weights)} weights; {', '.join(self.platforms)}"]
        lines[-1] += "; differentiable)" if self.differentiable else ")"
        return "\n".join(lines)

    @property
    def specs(self):
        """What each argument looks like, as in the manifest."""
        return self.manifest["arguments"]

    def file(self, name):
        """Returns the path of a file that was shipped with the program (a vocabulary, ...)."""
        path = self.folder / name
        if not path.is_file():
            raise ProgramError(f"{path}: no such file; the folder holds {', '.join(self.manifest['files'])}")
        return path

    def zeros(self, argument, **sizes):
        """Zeros for one argument, with a size for each free dimension: ``zeros("state", batch=2)``.

        Raises:
            ProgramError: for an unknown argument, or a size that is missing.
        """
        if argument not in self.specs:
            raise ProgramError(f"{self.name}: no argument {argument!r}; it takes {', '.join(self.specs)}")

        def zero(leaf):
            missing = [dim for dim in leaf["shape"] if isinstance(dim, str) and dim not in sizes]
            if missing:
                raise ProgramError(f"{self.name}: zeros({argument!r}) needs a size for {', '.join(missing)}")
            return np.zeros([sizes.get(dim, dim) for dim in leaf["shape"]], _dtype(leaf["dtype"]))

        return _map(self.specs[argument], zero)

    def with_weights(self, weights):
        """Returns the same program with other weights of the same names, shapes and dtypes (fine-tuned ones).

        Raises:
            ProgramError: for a missing, unknown or unfitting weight.
        """
        entries = self._entries
        return LoadedProgram(self.folder, self.manifest, entries, _checked_weights(self.manifest, weights))

    def __call__(self, *args, **kwargs):
        """Runs the program; each new set of sizes is compiled once.

        Raises:
            ProgramError: for arguments that do not fit the specs, naming the argument.
        """
        values, index = self._bound(args, kwargs)
        return self._run(self._jitted[index], self.weights, values)

    def apply(self, weights, *args, **kwargs):
        """Returns the program as a pure function of its weights too, for ``jax.jit`` and ``jax.grad``."""
        values, index = self._bound(args, kwargs)
        return self._run(self._entries[index][1].call, dict(weights), values)

    def vjp(self, *args, **kwargs):
        """The outputs, and a function from their gradients to those of the trainable weights and float arguments.

        Returns:
            ``(outputs, pullback)``; ``pullback(gradients)`` takes a tree like the outputs, in which None stands for
            zeros, and gives ``({path: gradient}, {argument: gradients})``, None for whole numbers.

        Raises:
            ProgramError: where it was exported without its gradient.
        """
        self._needs_gradient()
        values, index = self._bound(args, kwargs)
        leaves, treedef = jax.tree_util.tree_flatten(values)
        floats = [i for i, leaf in enumerate(leaves) if _is_float(leaf.dtype)]

        def run(trained, moving):
            full = list(leaves)
            for i, value in zip(floats, moving, strict=True):
                full[i] = value
            arguments = jax.tree_util.tree_unflatten(treedef, full)
            return self._run(self._entries[index][1].call, {**self.weights, **trained}, arguments)

        outputs, back = jax.vjp(run, {p: self.weights[p] for p in self._trainable}, [leaves[i] for i in floats])

        def pullback(gradients):
            by_weight, by_leaf = back(_cotangents(outputs, gradients, "gradients"))
            full = [None] * len(leaves)
            for i, value in zip(floats, by_leaf, strict=True):
                full[i] = value
            return by_weight, dict(zip(self.specs, jax.tree_util.tree_unflatten(treedef, full), strict=True))

        return outputs, pullback

    def gradient(self, loss, *args, **kwargs):
        """Returns the loss and its gradient by the trainable weights.

        Args:
            loss: from the outputs to a number.

        Returns:
            ``(loss, {path: gradient})``.
        """
        self._needs_gradient()

        def total(trained):
            return loss(self.apply({**self.weights, **trained}, *args, **kwargs))

        return jax.value_and_grad(total)({path: self.weights[path] for path in self._trainable})

    # -- inside ----------------------------------------------------------------------------------------------------

    def _needs_gradient(self):
        if not self.differentiable:
            raise ProgramError(
                f"{self.name}: was exported without its gradient; export it again with differentiable=True "
                f"(spago-jax export --differentiable)"
            )

    def _run(self, call, weights, values):
        try:
            return call(weights, *values)
        except (ValueError, TypeError) as error:
            if "shapes do not match" in str(error) or "polymorphic" in str(error) or "refining" in str(error):
                held = ", ".join(self.manifest["constraints"])
                reason = f"it was exported for {held}" if held else _first_line(error)
                raise ProgramError(f"{self.name}: sizes that do not fit: {reason}") from error
            raise

    def _bound(self, args, kwargs):
        names = list(self.specs)
        if len(args) > len(names):
            raise ProgramError(f"{self.name}: {len(args)} arguments, it takes {len(names)}: {', '.join(names)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names:
                raise ProgramError(f"{self.name}: no argument {name!r}; it takes {', '.join(names)}")
            if name in given:
                raise ProgramError(f"{self.name}: argument {name!r} was given twice")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise ProgramError(f"{self.name}: argument {missing[0]!r} is missing: {_show(self.specs[missing[0]])}")
        sizes = {}
        values = tuple(self._fit(name, self.specs[name], given[name], sizes) for name in names)
        for index, (entry, _) in enumerate(self._entries):
            if all(sizes.get(dim) == size for dim, size in entry["sizes"].items()):
                return values, index
        known = "; ".join(", ".join(f"{d} = {s}" for d, s in entry["sizes"].items()) for entry, _ in self._entries)
        got = ", ".join(f"{dim} = {sizes[dim]}" for dim in self._entries[0][0]["sizes"])
        raise ProgramError(f"{self.name}: was exported for {known}; this call has {got}: pad to the next one")

    def _fit(self, path, spec, value, sizes):
        """Returns one argument, checked against its spec and made of arrays."""
        where = f"{self.name}: argument {path!r}"
        if spec is None:
            return None
        if "dtype" in spec:
            return self._fit_array(where, spec, value, sizes)
        if "dict" in spec:
            if not hasattr(value, "keys"):
                raise ProgramError(f"{where} is {_name(value)}, expected a dict: {_show(spec)}")
            for key in spec["dict"]:
                if key not in value:
                    raise ProgramError(f"{where} has no {key!r}: expected {_show(spec['dict'][key])}")
            extra = [key for key in value if key not in spec["dict"]]
            if extra:
                raise ProgramError(f"{where} has {extra[0]!r}, which the program does not take: {_show(spec)}")
            return {key: self._fit(f"{path}.{key}", inner, value[key], sizes) for key, inner in spec["dict"].items()}
        kind = "list" if "list" in spec else "tuple"
        inners = spec[kind]
        if not isinstance(value, (list, tuple)) or len(value) != len(inners):
            raise ProgramError(f"{where} is {_name(value)}, expected {len(inners)} values: {_show(spec)}")
        fitted = [self._fit(f"{path}.{i}", inner, value[i], sizes) for i, inner in enumerate(inners)]
        return fitted if kind == "list" else tuple(fitted)

    def _numbers(self, where, spec, value, want):
        """Python numbers, or lists of them, in the dtype of the spec."""
        try:
            raw = np.asarray(value)
        except ValueError as error:
            raise ProgramError(f"{where} is not an array of numbers: {error}") from None
        if raw.dtype.kind not in "fiub" or (
            raw.size and not _is_float(want) and not np.array_equal(raw.astype(want), raw)
        ):
            raise ProgramError(f"{where} is {_name(raw)} and does not fit {_show(spec)}")
        return _narrowed(where, raw, want)

    def _fit_array(self, where, spec, value, sizes):
        want = _dtype(spec["dtype"])
        if not hasattr(value, "dtype"):
            value = self._numbers(where, spec, value, want)
        shape = tuple(value.shape)
        if len(shape) != len(spec["shape"]):
            raise ProgramError(f"{where} has shape {list(shape)}, expected {_show(spec)}")
        for dim, size in zip(spec["shape"], shape, strict=True):
            if isinstance(dim, int) or dim.isidentifier():
                known = dim if isinstance(dim, int) else sizes.setdefault(dim, size)
                if known != size:
                    raise ProgramError(f"{where} has shape {list(shape)}, expected {_show(spec)}: {dim} is {known}")
                if size < 1:
                    raise ProgramError(f"{where} has shape {list(shape)}: {dim} must be at least 1")
        if value.dtype == want:
            return value
        if np.can_cast(value.dtype, want, "safe"):
            return value.astype(want)
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.itemsize == 8 and value.dtype.kind == want.kind:
            narrow = _narrowed(where, value, want)  # NumPy's own default is 64 bits; JAX narrows it the same way
            if want.kind == "f" or np.array_equal(narrow, value):
                return narrow
        raise ProgramError(f"{where} has dtype {value.dtype}, expected {_show(spec)}")


def _narrowed(where, value, want):
    """Returns the numbers rounded to another dtype; a finite one that is infinite there is refused."""
    with np.errstate(over="ignore"):
        narrow = value.astype(want)
    if _is_float(want):
        lost = np.isfinite(value) & ~np.isfinite(np.asarray(narrow, np.float64))
        if lost.any():
            raise ProgramError(f"{where} holds {value[lost].flat[0]!s}, beyond the largest {want.name}: scale it first")
    return narrow


# -- files -----------------------------------------------------------------------------------------------------------


def read_manifest(folder, *, check=True):
    """Returns the manifest of an exported folder.

    Raises:
        ProgramError: where it is missing, damaged, of another kind, or of a newer format.
    """
    path = Path(folder) / "manifest.json"
    if not Path(folder).is_dir():
        raise ProgramError(f"{folder}: no such folder")
    try:
        manifest = json.loads(_read(path).decode("utf-8"))
        version, kind = manifest["format_version"], manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProgramError(f"{path}: damaged, or no manifest of an exported program ({_first_line(error)})") from None
    if kind != "stablehlo":
        raise ProgramError(f"{path}: the folder holds a program in the format {kind!r}, not 'stablehlo'")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ProgramError(
            f"{path}: format version {version}, this loader reads up to {FORMAT_VERSION}; use the load_program.py that "
            f"lies in the folder, or a newer spago_jax"
        )
    if check and manifest.get("sha256") != manifest_hash(manifest):
        raise ProgramError(f"{path}: was changed after the export, or is damaged; copy the folder again")
    return manifest


def manifest_hash(manifest):
    """Returns the checksum of a manifest without its own checksum."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("utf-8")).hexdigest()


def read_safetensors(path):
    """Returns the arrays of a safetensors file, ``{name: array}``.

    Raises:
        ProgramError: for a file that is truncated or damaged.
    """
    data = np.fromfile(path, np.uint8) if Path(path).is_file() else np.frombuffer(_read(path), np.uint8)
    length = int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ProgramError(f"{path}: truncated: the header says {length} bytes, {len(data)} are there in all")
    try:
        header = json.loads(data[8 : 8 + length].tobytes().decode("utf-8"))
        header.pop("__metadata__", None)
        body, arrays = data[8 + length :], {}
        for name, facts in header.items():
            start, end = facts["data_offsets"]
            dtype, shape = _CODES[facts["dtype"]], facts["shape"]
            if end > len(body):
                raise ProgramError(f"{path}: truncated: weight {name!r} ends at {end} of {len(body)} bytes")
            array = body[start:end].view(dtype).reshape(shape)
            arrays[name] = array.byteswap() if sys.byteorder == "big" else array
    except ProgramError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ProgramError(f"{path}: damaged, or no safetensors file ({_first_line(error)})") from None
    return arrays


_CODES = {
    **{
        f"{code}{8 * n}": np.dtype(f"{code.lower()}{n}")
        for code in "IUF"
        for n in (1, 2, 4, 8)
        if (code, n) != ("F", 1)
    },
    "BOOL": np.dtype(bool),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = str(error.strerror).lower().removesuffix(" or directory")
        raise ProgramError(f"{path}: {why}; the folder is not complete") from None


def _check_file(path, facts):
    data = _read(path)
    if len(data) != facts["bytes"]:
        raise ProgramError(f"{path}: truncated: {len(data)} bytes of {facts['bytes']}; copy the folder again")
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ProgramError(f"{path}: damaged, or changed after the export (its checksum differs); copy it again")


def _check_process(folder, manifest):
    """Whether this process, its JAX and its devices, can run the program."""
    calling = manifest["calling_convention_version"]
    newest = jax.export.maximum_supported_calling_convention_version
    oldest = jax.export.minimum_supported_calling_convention_version
    if not oldest <= calling <= newest:
        way = "update JAX" if calling > newest else "export the program again with a newer JAX"
        raise ProgramError(
            f"{folder}: exported by JAX {manifest['jax_version']} with calling convention {calling}; JAX "
            f"{jax.__version__} reads {oldest} to {newest}: {way}"
        )
    platform = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    if platform not in manifest["platforms"]:
        raise ProgramError(
            f"{folder}: exported for {', '.join(manifest['platforms'])}, and this process runs on {platform}; export "
            f"it again with --platforms {','.join([*manifest['platforms'], platform])}, or set JAX_PLATFORMS"
        )
    leaves = [*manifest["weights"].values()]
    for tree in manifest["arguments"].values():
        _map(tree, leaves.append)
    if any(leaf["dtype"] in ("int64", "uint64", "float64") for leaf in leaves) and not jax.config.read(
        "jax_enable_x64"
    ):
        raise ProgramError(f"{folder}: holds 64-bit numbers, which JAX has switched off; set JAX_ENABLE_X64=1")


def _checked_weights(manifest, weights):
    facts = manifest["weights"]
    for path, want in facts.items():
        if path not in weights:
            raise ProgramError(f"{manifest['name']}: weight {path!r} is missing: expected {_show(want)}")
        got = weights[path]
        if list(got.shape) != list(want["shape"]) or got.dtype != _dtype(want["dtype"]):
            raise ProgramError(
                f"{manifest['name']}: weight {path!r} is {got.dtype}{list(got.shape)}, expected {_show(want)}"
            )
    for path in weights:
        if path not in facts:
            raise ProgramError(f"{manifest['name']}: weight {path!r} is not one of the program's {len(facts)}")
    return {path: jax.numpy.asarray(weights[path]) for path in facts}


# -- JAX's own file format without the package flatbuffers ----------------------------------------------------------


def _deserialize(data):
    """``jax.export.deserialize``, also where the package ``flatbuffers``, which it asks for, is not installed."""
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        pass
    else:
        return jax.export.deserialize(bytearray(data))
    before = set(sys.modules)
    sys.modules.update(_flatbuffers())
    try:
        return jax.export.deserialize(bytearray(data))
    finally:  # nobody else shall meet the stand-in
        for name in set(sys.modules) - before:
            if name.split(".")[0] == "flatbuffers" or hasattr(sys.modules[name], "flatbuffers"):
                del sys.modules[name]


class _Number:
    """One kind of number of the FlatBuffers format, little-endian."""

    def __init__(self, code, kind=int):
        self.packer_type, self.py_type, self.dtype = struct.Struct(f"<{code}"), kind, np.dtype(f"<{code}")


_UOFFSET, _SOFFSET, _VOFFSET = _Number("I"), _Number("i"), _Number("H")


class _Table:
    """Reads a FlatBuffers table: fields are found through a table of offsets that lies elsewhere.

    The format: https://flatbuffers.dev/internals. The names are those of the package's own class.
    """

    def __init__(self, data, at):
        self.Bytes, self.Pos = data, at

    def Get(self, number, at):
        return number.py_type(number.packer_type.unpack_from(self.Bytes, at)[0])

    def Offset(self, field):
        offsets = self.Pos - self.Get(_SOFFSET, self.Pos)
        return self.Get(_VOFFSET, offsets + field) if field < self.Get(_VOFFSET, offsets) else 0

    def Indirect(self, at):
        return at + self.Get(_UOFFSET, at)

    def String(self, at):
        start = self.Indirect(at)
        return bytes(self.Bytes[start + 4 : start + 4 + self.Get(_UOFFSET, start)])

    def VectorLen(self, field):
        return self.Get(_UOFFSET, self.Indirect(self.Pos + field))

    def Vector(self, field):
        return self.Indirect(self.Pos + field) + 4

    def GetVectorAsNumpy(self, number, field):
        return np.frombuffer(self.Bytes, number.dtype, self.VectorLen(field), self.Vector(field))


def _flatbuffers():
    """Returns the reading half of the package ``flatbuffers``, as modules by name."""
    codes = {"Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I"}
    codes |= {"Int64": "q", "Uint64": "Q", "UOffsetT": "I", "SOffsetT": "i", "VOffsetT": "H"}
    numbers = {f"{name}Flags": _Number(code, bool if code == "?" else int) for name, code in codes.items()}
    parts = {
        "number_types": numbers,
        "packer": {"uoffset": _UOFFSET.packer_type},
        "encode": {"Get": lambda packer, data, at: packer.unpack_from(data, at)[0]},
        "table": {"Table": _Table},
        "compat": {"import_numpy": lambda: np},
    }
    package = types.ModuleType("flatbuffers")
    package.Builder = object  # type: ignore  # it stands in signatures of functions that write
    modules = {"flatbuffers": package}
    for name, names in parts.items():
        modules[f"flatbuffers.{name}"] = module = types.ModuleType(f"flatbuffers.{name}")
        vars(module).update(names)
        setattr(package, name, module)
    return modules


# -- trees and words -------------------------------------------------------------------------------------------------


def _dtype(name):
    return np.dtype(getattr(ml_dtypes, name)) if hasattr(ml_dtypes, name) else np.dtype(name)


def _is_float(dtype):
    return jax.numpy.issubdtype(dtype, jax.numpy.floating)


def _map(spec, function):
    if spec is None:
        return None
    if "dtype" in spec:
        return function(spec)
    if "dict" in spec:
        return {key: _map(value, function) for key, value in spec["dict"].items()}
    values = [_map(value, function) for value in spec.get("list", spec.get("tuple"))]
    return values if "list" in spec else tuple(values)


def _show(spec):
    if spec is None:
        return "None"
    if "dtype" in spec:
        return f"{spec['dtype']}[{', '.join(map(str, spec['shape']))}]"
    if "dict" in spec:
        return "{" + ", ".join(f"{key}: {_show(value)}" for key, value in spec["dict"].items()) + "}"
    inside = ", ".join(map(_show, spec.get("list", spec.get("tuple"))))
    return f"[{inside}]" if "list" in spec else f"({inside},)" if len(spec["tuple"]) == 1 else f"({inside})"


def _sizes(sizes):
    return f" at {', '.join(f'{dim} = {size}' for dim, size in sizes.items())}" if sizes else ""


def _name(value):
    if hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (list, tuple)) else "")


def _first_line(error):
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _cotangents(outputs, given, path):
    """Gradients for every output: zeros where None is given, and the kind of nothing that whole numbers have."""
    if isinstance(outputs, dict):
        if given is not None and (not hasattr(given, "keys") or set(given) - set(outputs)):
            raise ProgramError(f"{path}: expected a dict with some of {', '.join(outputs)}")
        return {k: _cotangents(v, None if given is None else given.get(k), f"{path}.{k}") for k, v in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        if given is not None and len(given) != len(outputs):
            raise ProgramError(f"{path}: {len(given)} gradients for {len(outputs)} outputs")
        parts = given if given is not None else [None] * len(outputs)
        pairs = enumerate(zip(outputs, parts, strict=True))
        return type(outputs)(_cotangents(o, g, f"{path}.{i}") for i, (o, g) in pairs)
    if outputs is None:
        return None
    if not _is_float(outputs.dtype):
        return np.zeros(outputs.shape, jax.dtypes.float0)
    if given is None:
        return jax.numpy.zeros(outputs.shape, outputs.dtype)
    if np.shape(given) != outputs.shape:
        raise ProgramError(f"{path}: shape {list(np.shape(given))}, the output has {list(outputs.shape)}")
    return jax.numpy.asarray(given, outputs.dtype)
