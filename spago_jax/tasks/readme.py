# SPDX-License-Identifier: BSD-2-Clause
"""The README of an exported run: how somebody who has only the folder uses it."""

from collections.abc import Iterable

_TOKENS = """\
Encoding text: an id is a place in the "terms" of assets/words.json (id 0 is padding, 1 the unknown word),
assets/characters.json (one id a character of the word; at most "max_characters" of assets/features.json, of longer
words the first two thirds and the last third) and assets/shapes.json (X for a capital, x for another letter, d for a
digit, marks as they are, runs cut at four). A word is looked up as it stands (in lower case where features.json says
so), then in lower case, then with its digits as 0. lengths counts the real tokens of each row; what is beyond is 0.
"""

# One row of each input: three words, the first of two letters.
_ROW = {
    "words": "[[2, 5, 1]]",
    "characters": "[[[7, 2], [3, 0], [4, 0]]]",
    "character_lengths": "[[2, 1, 1]]",
    "shapes": "[[2, 3, 2]]",
    "lengths": "[3]",
    "ngrams": "[[1, 4, 2, 3]]",
    "ngram_lengths": "[4]",
}

_CALLS = {
    "tag": """\
batch = {{{row}}}
found = program(batch)
print([program.metadata["tags"][i] for i in found["tags"][0][:3]])""",
    "classify": """\
batch = {{{row}}}
found = program(batch)
print(program.metadata["classes"][int(found["probabilities"][0].argmax())])""",
    "classify_images": """\
images = np.zeros(program.specs["inputs"]["shape"][1:], np.float32)[None]   # pixels as in training, 0 to 255, say
found = program(images)
print(program.metadata["classes"][int(found["probabilities"][0].argmax())])""",
    "read": """\
ids = np.array([[program.metadata["alphabet"].index("e")]])               # [batch, time]
found = program(ids, [1], program.zeros("state", batch=1))               # found["state"] goes into the next call
print(program.metadata["alphabet"][int(found["log_probabilities"][0, -1].argmax())])""",
}

_STABLEHLO = """\
An exported program: StableHLO, weights and vocabularies. It needs Python with jax and numpy (pip install jax), and
runs on the platforms that print(program) names. In this folder:

    import numpy as np
    from load_program import load_program
    program = load_program(".")
    print(program)
{call}

program.weights are the weights by name (weights.safetensors); any batch size and length works, and each is compiled
once. Where it was exported differentiable, program.gradient(loss, ...) and program.with_weights(...) fine-tune it.
{more}"""

_ONNX = """\
An exported program: an ONNX model and its vocabularies. It needs onnxruntime (pip install onnxruntime). In this folder:

    import json, numpy as np, onnxruntime
    session = onnxruntime.InferenceSession("model.onnx")
    for value in session.get_inputs(): print(value.name, value.type, value.shape)
    found = session.run(None, {{...}})     # an array for each name; in the order of session.get_outputs()

manifest.json holds the names of the classes or tags under "metadata". Any batch size and length works.
{more}"""


def readme(name: str, format: str, inputs: Iterable[str] = ()) -> str:
    """The text of README.txt.

    Args:
        name: of the program, ``tag``, ``classify``, ``classify_images`` or ``read``.
        format: ``stablehlo`` or ``onnx``.
        inputs: the arrays of a batch of text that the program reads.

    >>> print(readme("tag", "stablehlo", ["words", "lengths"]).splitlines()[7])
        batch = {"words": [[2, 5, 1]], "lengths": [3]}
    """
    more = f"\n{_TOKENS}" if name in ("tag", "classify") else ""
    row = ", ".join(f'"{key}": {_ROW[key]}' for key in inputs)
    text = _CALLS[name].format(row=row) if name in ("tag", "classify") else _CALLS[name]
    call = "\n".join(f"    {line}" for line in text.splitlines())
    return _STABLEHLO.format(call=call, more=more) if format == "stablehlo" else _ONNX.format(more=more)
