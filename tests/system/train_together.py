"""Run by test_together.py in a process with eight host devices: ``python train_together.py CONFIGS OUT``."""

import json
import shutil
import sys
from pathlib import Path

from spago_jax.cli.main import run

MESHES = {
    "1": [],
    "8x1": ["train.mesh={data: 8}", "train.sharding=fsdp"],
    "4x2": ["train.mesh={data: 4, model: 2}", "train.sharding=fsdp+tensor"],
    "2x4": ["train.mesh={data: 2, model: 4}", "train.sharding=tensor"],
}
HALF, WHOLE = "train.steps=24", "train.steps=50"


def train(config: Path, out: Path, *more: str) -> None:
    assert run(["train", str(config), *more, "--out", str(out), "--quiet"]) == 0, (config, more)


def main(configs: Path, out: Path) -> None:
    for kind in json.loads((configs / "kinds.json").read_text()):
        for mesh, settings in MESHES.items():
            again = ["train.remat=full"] if mesh == "2x4" and kind != "tagger" else []  # a tagger has no such layers
            train(configs / f"{kind}.yaml", out / f"{kind}-{mesh}", WHOLE, *settings, *again)
    # begun on some devices, gone on with on others
    for first, then in (("8x1", "4x2"), ("4x2", "1")):
        train(configs / "tagger.yaml", out / f"begun-{first}", HALF, *MESHES[first])
        shutil.copytree(out / f"begun-{first}", out / f"resumed-{first}-{then}")
        train(configs / "tagger.yaml", out / f"resumed-{first}-{then}", WHOLE, *MESHES[then], "--resume")
    # a run of two processes, if there is one
    if (out / "begun-two").is_dir():
        shutil.copytree(out / "begun-two", out / "resumed-two-1")
        train(configs / "tagger.yaml", out / "resumed-two-1", WHOLE, "--resume")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
