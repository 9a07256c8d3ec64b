"""Run by test_devices.py in a process with eight host devices: ``python train_on_devices.py CORPUS OUT``."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from spago_jax.cli.main import run
from spago_jax.compiler.topology import collective_bytes
from spago_jax.core.devices import Devices
from spago_jax.ops.linear import product_over_rows


def gathers(out: Path) -> None:
    """Writes what the devices send each other for the gradient of a weight whose rows are split among them."""
    devices = Devices.of(8)
    x, y = (devices.put(jnp.ones((64, n), jnp.bfloat16), devices.along(0)) for n in (4, 6))
    whole = devices.sharding(PartitionSpec())
    compiled = jax.jit(product_over_rows, out_shardings=whole).lower(x, y).compile()
    (out / "product.json").write_text(json.dumps(collective_bytes(compiled.as_text())))


def main(corpus: Path, out: Path) -> None:
    gathers(out)
    plain = ["model.dropout=0"]
    for kind, changes in {
        "tiny": [*plain, "train.epochs=3", "model.word_dropout=0", "model.embeddings.0.unknown_rate=0",
                 "train.average=0.9",
                 "optimizer.plateau={factor: 0.5, patience: 0}"],
        "letters": [*plain, "train.epochs=2", "train.batch_size=8", "train.eval_batch_size=8"],
        "images": ["train.epochs=3", "optimizer.accumulate=2"],
    }.items():  # fmt: skip
        for devices in (1, 8):
            folder = out / f"{kind}-{devices}"
            config, where = str(corpus / f"{kind}.yaml"), ["--out", str(folder)]
            assert run(["train", config, *changes, f"train.devices={devices}", *where]) == 0, (kind, devices)
    # begun on two devices, gone on with on one and on four
    import shutil

    changes = [*plain, "train.batch_size=8", "train.eval_batch_size=8"]
    config = str(corpus / "letters.yaml")
    assert run(["train", config, *changes, "train.epochs=1", "train.devices=2", "--out", str(out / "begun")]) == 0
    for devices in (1, 4):
        folder = out / f"resumed-{devices}"
        shutil.copytree(out / "begun", folder)
        more = ["train.epochs=2", f"train.devices={devices}", "--out", str(folder), "--resume"]
        assert run(["train", config, *changes, *more]) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
