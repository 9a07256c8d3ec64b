"""Where a model is found: a folder, the cache, the hub; and that nothing touches the network after a local hit."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import types
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.errors import InputError
from spago_jax.interop.huggingface.locate import cache, find_cached, find_model

COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def forbidden(*arguments, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    return tmp_path / "home"


def whole(folder, *, shards=0):
    """The least that is a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    if not shards:
        write_safetensors(folder / "model.safetensors", {"x": np.ones(2)})
        return folder
    names = [f"model-{n}.safetensors" for n in range(shards)]
    for name in names:
        write_safetensors(folder / name, {name: np.ones(2)})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {name: name for name in names}}))
    return folder


def cached(home, name="org/tiny", revision="main", **options):
    base = home / "hub" / f"models--{name.replace('/', '--')}"
    (base / "refs").mkdir(parents=True, exist_ok=True)
    (base / "refs" / revision).write_text(COMMIT)
    return whole(base / "snapshots" / COMMIT, **options)


def refused(words, *arguments, **options):
    with pytest.raises(InputError) as caught:
        find_model(*arguments, **options)
    for word in words if isinstance(words, list) else [words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("download", ["never", "missing", "always"])
def test_a_folder_comes_first_whatever_the_policy(tmp_path, monkeypatch, download):
    folder = whole(tmp_path / "org" / "tiny")
    assert find_model(folder, download=download) == folder
    monkeypatch.chdir(tmp_path)
    assert find_model("org/tiny", download=download) == Path("org/tiny")


@pytest.mark.parametrize("download", ["never", "missing"])
@pytest.mark.parametrize("shards", [0, 3])
def test_no_network_is_touched_after_a_hit_in_the_cache(home, monkeypatch, download, shards):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # not even imported
    folder = cached(home, shards=shards)
    assert find_model("org/tiny", download=download) == folder
    assert find_model("org/tiny", download=download, revision="main") == folder
    assert find_model("org/tiny", download=download, revision=COMMIT) == folder
    assert cached(home, "tiny") == find_model("tiny", download=download)


def test_the_cache_is_where_the_variables_say(tmp_path, monkeypatch):
    assert cache() == tmp_path / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache() == Path("/x/huggingface/hub")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache() == Path.home() / ".cache/huggingface/hub"
    monkeypatch.setenv("HF_HUB_CACHE", "/y")
    assert cache() == Path("/y")


def test_what_is_not_there_is_refused_with_the_way_out(home, tmp_path):
    refused(["no folder 'org/tiny'", "--download missing", str(home / "hub")], "org/tiny")
    refused("revision v2", "org/tiny", revision="v2")
    refused("no such folder", tmp_path / "nothing")
    refused("no such folder", "a/b/c")
    for name in ("../x", "~nobody-of-this-name/x", "a\0b", "org/" + "y" * 300 + "/z"):
        refused("no such folder", name)
    for name in ("x" * 5000, "org/" + "y" * 300):
        refused("no model of this name", name)
    (tmp_path / "file").touch()
    refused("give the folder", tmp_path / "file")
    refused("did you mean 'never'", "org/tiny", download="neve")
    refused("not a branch", "org/tiny", revision="../../x")


def test_a_folder_that_is_not_whole_is_refused_with_what_it_lacks(tmp_path):
    folder = whole(tmp_path / "tiny", shards=3)
    (folder / "model-1.safetensors").unlink()
    refused("lacks model-1.safetensors", folder)
    (folder / "model.safetensors.index.json").unlink()
    refused("lacks model.safetensors", folder)
    (folder / "config.json").unlink()
    refused("lacks config.json", folder)


def package(root, monkeypatch, name="tiny-weights", folders=("tiny_weights/model",), **options):
    """An installed distribution with models in it, whose code must not be imported."""
    lines = [f"{name.replace('-', '_')}-1.0.dist-info/METADATA,,"]
    for folder in folders:
        made = whole(root / folder, **options)
        lines += [f"{folder}/{path.name},," for path in made.iterdir()]
        (root / folder / ".." / "__init__.py").write_text("raise AssertionError('the package was imported')")
    facts = root / lines[0].removesuffix(",,")
    facts.parent.mkdir(parents=True)
    facts.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts.parent / "RECORD").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(root)
    return [root / folder for folder in folders]


@pytest.mark.parametrize("download", ["never", "missing", "always"])
def test_a_name_is_found_in_an_installed_package_that_is_not_imported(home, tmp_path, monkeypatch, download):
    (folder,) = package(tmp_path / "site", monkeypatch)
    assert find_model("tiny-weights", download=download) == folder
    assert find_model("Tiny_Weights", download=download) == folder  # as pip takes names
    cached(home, "tiny-weights")
    assert find_model("tiny-weights") == folder  # before the cache
    assert find_model("tiny-weights", revision="main") != folder  # a package has no revisions
    monkeypatch.chdir(tmp_path)
    whole(tmp_path / "tiny-weights")
    assert find_model("tiny-weights") == Path("tiny-weights")  # a folder comes first


def test_a_package_without_a_model_and_one_with_two_are_named(home, tmp_path, monkeypatch):
    refused(["no folder 'numpy'", "no model in the installed package", str(home / "hub")], "numpy")
    refused(["no installed package of this name", "no model of this name", "--download missing"], "no-such-weights")
    (one, two) = package(tmp_path / "site", monkeypatch, folders=("a/one", "a/two"))
    refused(["has 2 models: give the folder of one", str(one), str(two)], "tiny-weights")
    (two / "model.safetensors").unlink()  # not a model any more
    assert find_model("tiny-weights") == one


def test_half_a_model_in_the_cache_is_not_a_hit(home):
    folder = cached(home, shards=2)
    (folder / "model-1.safetensors").unlink()
    refused(["only in part: model-1.safetensors", "--download missing"], "org/tiny")


def test_a_reference_leads_to_no_other_folder(home, tmp_path):
    whole(tmp_path / "other")
    base = home / "hub" / "models--org--tiny"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("../../../../other")
    assert find_cached("org/tiny") is None


def test_the_message_names_the_package_that_downloads(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("pip install", "org/tiny", download="missing")


# -- a hub -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(home, monkeypatch):
    """A stand-in for the library: it copies files into the cache, and notes which."""
    small = ["vocab.txt", "README.md", "onnx/model.onnx", "2_Dense/pytorch_model.bin", "2_Dense/model.safetensors"]
    large = ["model.safetensors", "pytorch_model.bin", "flax_model.msgpack", "tf_model.h5"]
    files = dict.fromkeys([*small, *large], b"x")
    files |= dict.fromkeys(["config.json", "1_Pooling/config.json", "2_Dense/config.json", "modules.json"], b"{}")
    fetched = []
    base = home / "hub" / "models--org--tiny"

    def fetch(name, file, *, revision, token):
        fetched.append(file)
        if files[file] is None:
            raise KeyboardInterrupt
        path = base / "snapshots" / COMMIT / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[file])
        (base / "refs").mkdir(exist_ok=True)
        (base / "refs" / (revision or "main")).write_text(COMMIT)
        return str(path)

    def info(name, *, revision):
        if name != "org/tiny":
            raise RuntimeError("404 Client Error.\n\nRepository Not Found")
        return types.SimpleNamespace(siblings=[types.SimpleNamespace(rfilename=file) for file in files])

    library = types.SimpleNamespace(hf_hub_download=fetch, HfApi=lambda token: types.SimpleNamespace(model_info=info))
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return types.SimpleNamespace(files=files, fetched=fetched)


def test_a_download_takes_the_files_that_are_needed_and_the_config_last(hub):
    folder = find_model("org/tiny", download="missing")
    assert sorted(hub.fetched) == ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors",
                                   "config.json", "model.safetensors", "modules.json", "vocab.txt"]  # fmt: skip
    assert hub.fetched[-1] == "config.json"
    hub.fetched.clear()
    assert find_model("org/tiny", download="missing") == folder  # now it is there
    assert hub.fetched == []
    assert find_model("org/tiny", download="always") == folder
    assert len(hub.fetched) == 7


def test_an_interrupted_download_leaves_no_model_and_is_taken_up_again(hub):
    content = hub.files["model.safetensors"]
    hub.files["model.safetensors"] = None
    with pytest.raises(KeyboardInterrupt):
        find_model("org/tiny", download="missing")
    refused("only in part: config.json", "org/tiny")
    hub.files["model.safetensors"] = content
    find_model("org/tiny", download="missing")
    find_model("org/tiny")


def test_the_shards_of_an_index_are_downloaded(hub):
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    hub.files |= {"model.safetensors.index.json": json.dumps(index).encode(), "model-1.safetensors": b"",
                  "model-2.safetensors": b"", "model-3.safetensors": b""}  # fmt: skip
    find_model("org/tiny", download="missing")
    assert [name for name in hub.fetched if "model-" in name] == ["model-1.safetensors", "model-2.safetensors"]


def test_a_refusal_of_the_hub_is_one_message(hub):
    refused("org/other (revision main) cannot be downloaded (RuntimeError): 404 Client Error. Repository Not Found",
            "org/other", download="missing")  # fmt: skip
    del hub.files["config.json"]
    refused("has no config.json", "org/tiny", download="missing")


class Hub(BaseHTTPRequestHandler):
    """The three answers of the hub that a download needs, with one file per name."""

    def __init__(self, files, *arguments):
        self.files = files
        super().__init__(*arguments)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/org/tiny"):
            facts = {"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]}
            self.answer(json.dumps(facts).encode(), {"Content-Type": "application/json"})
        elif (found := re.fullmatch(r"/org/tiny/resolve/[^/]+/(.+)", path)) and found[1] in self.files:
            data = self.files[found[1]]
            self.answer(data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def answer(self, data, headers):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


@pytest.mark.extended
def test_the_real_library_downloads_from_a_hub(tmp_path, home, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.undo()
    source = whole(tmp_path / "source")
    files = {"config.json": b"{}", "README.md": b"x", "model.safetensors": (source / "model.safetensors").read_bytes()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = """
from spago_jax.interop.huggingface.locate import find_model
print(find_model("org/tiny", download="missing"))
try:
    find_model("org/other", download="missing")
except Exception as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                   "HF_HUB_DISABLE_XET": "1", "no_proxy": "*"}  # fmt: skip
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    folder, message = done.stdout.strip().splitlines()
    assert sorted(path.name for path in Path(folder).iterdir()) == ["config.json", "model.safetensors"]
    assert "org/other (revision main) cannot be downloaded (RepositoryNotFoundError)" in message
    monkeypatch.setenv("HF_HOME", str(home))
    assert find_model("org/tiny") == Path(folder)
