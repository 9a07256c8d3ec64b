# SPDX-License-Identifier: BSD-2-Clause
"""Made-up run folders of each kind, written as the training loop writes them."""

import math
import random

import pytest

from spago_jax.train.run_folder import RunFolder

NASTY = '<script>alert("x")</script>'

CONFIG = """name: {name}
description: {about}
seed: 7
data: {{format: conll, train: train.conll}}
optimizer: {{method: adam, learning_rate: 0.001}}
"""


def words(line):
    return line.split()


class RunMaker:
    """Writes run folders under one folder."""

    def __init__(self, root, seed=0):
        self.root, self.random = root, random.Random(seed)

    def folder(self, name, about="Made up."):
        path = self.root / name
        path.mkdir(parents=True)
        run = RunFolder(path)
        run.write("config.yaml", CONFIG.format(name=name, about=about))
        return run

    def common(self, run, *, scores, metric="f1", mode="max", unit="tokens", epochs=8, per_epoch=150, baseline=None):
        """All files but details.json."""
        step = 0
        for epoch in range(1, epochs + 1):
            for _ in range(per_epoch // 10):
                step += 10
                loss = 9 * math.exp(-step / 180) + 0.35 + self.random.random() * 0.25
                norm = 1.5 + 3 * math.exp(-step / 300) + self.random.random()
                run.append("metrics.jsonl", {"step": step, "kind": "train", "loss": loss, "gradient_norm": norm})
            far = 1 - math.exp(-epoch / 2.2)
            dev = {k: (v * far if v <= 1 else v * (2 - far)) for k, v in scores.items()}
            dev["loss"] = 7 * math.exp(-step / 200) + 0.7 + 0.02 * epoch
            run.append("metrics.jsonl", {"step": step, "kind": "dev", "epoch": epoch, **dev})
            seconds = 4.2 + self.random.random()
            record = {"step": step, "epoch": epoch, "seconds": seconds, "steps": per_epoch, "units": 61_000}
            run.append("timings.jsonl", {**record, "unit": unit, "total_seconds": seconds + 0.8})
        best = step - 2 * per_epoch
        run.append("metrics.jsonl", {"step": best, "kind": "test", **scores})
        run.write_json(
            "scores.json",
            {
                "best_step": best,
                "metric": {"name": metric, "mode": mode},
                "scores": {"dev": {**scores, "loss": 0.81}, "test": {**scores, "loss": 0.84}},
                "baselines": {"dev": baseline, "test": baseline} if baseline else {},
            },
        )
        arrays = [
            ("tokens.words.weight", [12000, 100], "param, no decay"),
            ("tokens.characters.conv.weight", [30, 3, 25], "param"),
            ("tokens.characters.conv.bias", [30], "param, no decay"),
            *[
                (f"encoder.layers.{i}.{way}.{part}", [1024, 256], "param")
                for i in range(2)
                for way in ("forward", "backward")
                for part in ("input_weight", "recurrent_weight")
            ],
            ("output.weight", [9, 512], "param"),
            ("output.bias", [9], "param, no decay"),
            ("crf.transitions", [11, 11], "param"),
            ("scale", [1], "buffer"),
        ]
        run.write_json(
            "model.json",
            [
                {"path": p, "shape": s, "dtype": "float32", "count": math.prod(s), "bytes": 4 * math.prod(s), "role": r}
                for p, s, r in arrays
            ],
        )
        signature = {
            "inputs": "state.model.tokens.words.weight: float32[12000, 100], batch.forms: int32[8, 32, 24] and 31 more",
            "flops": 3.21e9,
            "bytes_accessed": 8.5e8,
            "argument_bytes": 31_000_000,
            "output_bytes": 30_000_000,
            "temporary_bytes": 91_000_000,
            "peak_bytes": 140_000_000,
            "donated_bytes": 30_000_000,
            "compile_seconds": 6.41,
            "reason": "asked for by add()",
        }
        other = {**signature, "flops": 6.7e9, "compile_seconds": 7.02}
        run.write_json(
            "programs.json",
            {
                "compilations_in_warm_up": 6,
                "compilations_after_warm_up": 0,
                "programs": [
                    {"name": "train_step", "traces": 2, "signatures": [signature, other]},
                    {"name": "evaluate", "traces": 1, "signatures": [signature]},
                ],
            },
        )
        run.write_json(
            "about.json",
            {
                "commands": [f"spago-jax train configs/{run.path.name}.yaml train.epochs={epochs}"],
                "versions": {"python": "3.12.1", "jax": "0.10.2", "numpy": "2.3.1"},
                "machine": {"system": "Linux x86_64", "cores": 2, "devices": "1 x cpu (cpu)"},
            },
        )

    def entities(self):
        """A tagger of entities in BIOES, with one mistake of each kind, and markup in its data."""
        run = self.folder("ner-made-up", about="Entities of made-up news, BiLSTM-CRF.")
        baseline = {"precision": 0.52, "recall": 0.31, "f1": 0.388}
        self.common(run, scores={"precision": 0.872, "recall": 0.845, "f1": 0.8583}, baseline=baseline)
        tokens = words("Ada Lovelace met Charles Babbage in London near the Royal Society of Arts .")
        gold = words("B-PER E-PER O B-PER E-PER O S-LOC O O B-ORG I-ORG I-ORG E-ORG O")
        wrong = words("B-PER E-PER O S-PER O O S-ORG O O O O O O O")
        also = words("B-PER E-PER S-MISC B-PER E-PER O S-LOC O O B-ORG E-ORG O O O")
        bad = {"kind": "tags", "tokens": [NASTY, "went", "home"], "gold": [f"S-{NASTY}", "O", "O"], "scheme": "BIOES"}
        samples = [
            {"kind": "tags", "tokens": tokens, "gold": gold, "predicted": wrong, "scheme": "BIOES"},
            {"kind": "tags", "tokens": tokens, "gold": gold, "predicted": also, "scheme": "BIOES"},
            {"kind": "tags", "tokens": tokens, "gold": gold, "predicted": gold, "scheme": "BIOES"},
            {**bad, "predicted": ["O", "O", "O"]},
        ]
        labels = [
            {"label": name, "precision": p, "recall": r, "f1": 2 * p * r / (p + r), "gold": n, "predicted": n - 9}
            for name, p, r, n in [("PER", 0.93, 0.91, 812), ("LOC", 0.88, 0.9, 640), ("ORG", 0.81, 0.72, 377)]
        ]
        labels += [
            {"label": "MISC", "precision": 0.61, "recall": 0.5, "f1": 0.5495, "gold": 120, "predicted": 98},
            {"label": NASTY, "precision": None, "recall": 0.0, "f1": 0.0, "gold": 1, "predicted": 0},
        ]
        confusions = {
            "labels": ["O", "PER", "LOC", "ORG", "MISC", NASTY],
            "matrix": [
                [9000, 12, 8, 20, 11, 0],
                [30, 739, 14, 22, 7, 0],
                [12, 9, 576, 40, 3, 0],
                [33, 20, 48, 271, 5, 0],
                [41, 5, 2, 12, 60, 0],
                [1, 0, 0, 0, 0, 0],
            ],
        }
        split = {"labels": labels, "confusions": confusions, "samples": samples}
        run.write_json("details.json", {"dev": split, "test": split})
        return run

    def roles(self, count=22):
        """A tagger of one tag a token, with more tags than colours."""
        run = self.folder("roles-made-up", about="The role of each token of Python source.")
        self.common(run, scores={"accuracy": 0.963, "macro_f1": 0.917}, metric="macro_f1", baseline={"accuracy": 0.861})
        names = ["name", "operator", "keyword", "call", "attribute", "string", "parameter", "number", "function"]
        names += ["import", "builtin", "class", *(f"role-{i}" for i in range(count - 12))]
        code = [
            ("def", "keyword"),
            ("scale", "function"),
            ("(", "operator"),
            ("xs", "parameter"),
            (",", "operator"),
            ("by", "parameter"),
            (")", "operator"),
            (":", "operator"),
            ("return", "keyword"),
            ("[", "operator"),
            ("x", "name"),
            ("*", "operator"),
            ("float", "builtin"),
            ("(", "operator"),
            ("by", "parameter"),
            (")", "operator"),
            ("for", "keyword"),
            ("x", "name"),
            ("in", "keyword"),
            ("xs", "parameter"),
            ("]", "operator"),
        ]
        samples = []
        for i in range(10):
            gold = [tag for _, tag in code]
            predicted = list(gold)
            for place in (14, 12, 19)[: i % 4]:
                predicted[place] = "name" if place != 12 else "call"
            samples.append(
                {
                    "kind": "tags",
                    "tokens": [t for t, _ in code],
                    "gold": gold,
                    "predicted": predicted,
                    "scheme": "plain",
                }
            )
        samples.append(
            {"kind": "tags", "tokens": [NASTY, "<b>"], "gold": ["string", "<i>"], "predicted": ["string", "O"]}
        )
        counts = [int(9000 / (i + 1)) for i in range(count)]
        matrix = [
            [int(counts[i] * (0.9 if i == j else self.random.random() * 0.2 / count)) for j in range(count)]
            for i in range(count)
        ]
        labels = [
            {"label": n, "precision": 0.99 - i / 60, "recall": 0.97 - i / 50, "f1": 0.98 - i / 55, "gold": counts[i]}
            for i, n in enumerate(names)
        ]
        confusions = {"labels": names, "matrix": matrix}
        run.write_json("details.json", {"test": {"labels": labels, "confusions": confusions, "samples": samples}})
        return run

    def images(self):
        """A classifier of images."""
        run = self.folder("digits-made-up", about="Digits, MLP.")
        self.common(run, scores={"accuracy": 0.981, "macro_f1": 0.9805}, metric="accuracy", unit="examples")

        def ring(size, radius):
            middle = (size - 1) / 2
            return [
                [int(255 * math.exp(-((math.hypot(x - middle, y - middle) - radius) ** 2))) for x in range(size)]
                for y in range(size)
            ]

        samples = [
            {"kind": "image", "image": ring(16, 3 + i % 4), "gold": "0", "predicted": str(i % 3)} for i in range(12)
        ]
        labels = [
            {
                "label": str(i),
                "precision": 0.99 - i / 300,
                "recall": 0.98,
                "f1": 0.983,
                "gold": 100 - i,
                "predicted": 99,
            }
            for i in range(10)
        ]
        matrix = [[96 if i == j else int((i * 7 + j * 3) % 11 == 0) for j in range(10)] for i in range(10)]
        confusions = {"labels": [str(i) for i in range(10)], "matrix": matrix}
        run.write_json("details.json", {"test": {"labels": labels, "confusions": confusions, "samples": samples}})
        return run

    def texts(self, count=77):
        """A classifier of texts into many classes."""
        run = self.folder("intents-made-up", about="What a customer wants.")
        self.common(run, scores={"accuracy": 0.92, "macro_f1": 0.918}, metric="accuracy", baseline={"accuracy": 0.9136})
        names = [f"intent_with_a_rather_long_name_{i}" for i in range(count)]
        samples = [
            {
                "kind": "text",
                "text": f"Where is my card number {i}? I have waited for two weeks.",
                "gold": names[i],
                "predicted": names[1],
                "probability": 0.5 + i / 100,
                "line": 10 * i + 2,
            }
            for i in range(30)
        ]
        samples.append({"kind": "text", "text": f"{NASTY} & so on", "gold": NASTY, "predicted": "a<b"})
        matrix = [
            [36 if i == j else (4 if j == (i * 5 + 1) % count else 0) for j in range(count)] for i in range(count)
        ]
        labels = [{"label": n, "precision": 0.9, "recall": 0.9, "f1": 0.9, "gold": 40, "predicted": 40} for n in names]
        confusions = {"labels": names, "matrix": matrix}
        run.write_json("details.json", {"test": {"labels": labels, "confusions": confusions, "samples": samples}})
        return run

    def language(self):
        """A character language model."""
        run = self.folder("charlm-made-up", about=f"Characters of the language reference {NASTY}.")
        scores = {"nats_per_character": 1.31, "bits_per_character": 1.89, "perplexity": 3.7}
        self.common(run, scores=scores, metric="nats_per_character", mode="min", unit="characters")
        run.write_json("details.json", {"test": {}})
        return run

    def interrupted(self):
        """A run that was stopped in its second epoch: hardly any file."""
        run = self.folder("stopped", about="Stopped.")
        for step in (10, 20, 30):
            run.append("metrics.jsonl", {"step": step, "kind": "train", "loss": 5 - step / 10, "gradient_norm": None})
        run.append("metrics.jsonl", {"step": 30, "kind": "dev", "epoch": 1, "f1": 0.25, "loss": 3.5})
        with open(run / "metrics.jsonl", "a") as file:
            file.write('{"step": 40, "ki')
        return run


@pytest.fixture
def runs(tmp_path):
    return RunMaker(tmp_path)
