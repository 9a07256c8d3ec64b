"""Batch inference over big files by Ray Data, on every machine of a cluster.

    python examples/ray_data.py text-classification runs/intents 'texts/*.txt' answers.jsonl 2

One text per line; the answers are lines of JSON, in the same order. Each worker opens the model once, and is handed
blocks of 64 texts, as ``spago-jax run`` makes them: of one file, the answers are the same, byte for byte.
"""

import json
import sys

import numpy as np
import ray

BLOCK = 64


class Answers:
    """A worker: a model that answers the texts of a block."""

    def __init__(self, task: str, source: str):
        import spago_jax as sj

        self.predictor = sj.load_task(task, source)

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Answers one block."""
        answers = self.predictor(block["text"].tolist())
        return {"line": [json.dumps(answer.to_dict(), ensure_ascii=False) for answer in answers]}


def main(task: str, source: str, inputs: str, out: str, workers: int) -> None:
    """Reads the texts, answers them and writes the answers."""
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    texts = ray.data.read_text(inputs, drop_empty_lines=False)
    answers = texts.map_batches(
        Answers, fn_constructor_args=(task, source), batch_size=BLOCK, compute=ray.data.ActorPoolStrategy(size=workers)
    )
    with open(out, "w", encoding="utf-8") as file:
        for row in answers.iter_rows():
            file.write(row["line"] + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
