# SPDX-License-Identifier: BSD-2-Clause
"""A pre-trained model in memory: its config, its arrays, its tokenizer, and how it is written again."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.core import flat
from spago_jax.core.disk import new_folder, refuse_taken, replace_file
from spago_jax.errors import InputError
from spago_jax.generation import Generated, Generator
from spago_jax.interop.huggingface.generation import generation_options, make_generator
from spago_jax.interop.huggingface.json_files import read_object
from spago_jax.interop.huggingface.layout import CONFIG, GENERATION, TOKENIZER, sentence_weights, small_files
from spago_jax.interop.huggingface.sentence import SentencePipeline, write_pipeline
from spago_jax.models.encoder import EncoderModel
from spago_jax.models.encoder.heads import Pretraining
from spago_jax.models.encoder_decoder import EncoderDecoder, EncoderDecoderFile
from spago_jax.models.pretrained import File, Model, config_to_huggingface, weight_table
from spago_jax.models.weight_table import write_weights

if TYPE_CHECKING:
    from spago_jax.text.tokenizers.subword import SubwordTokenizer

WEIGHTS = "model.safetensors"
TARGET_TOKENIZER = "target_tokenizer"
"""The folder of the tokenizer of the texts that are written, where a model has two."""


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What was found in a model's file.

    Attributes:
        file: of the tensors, or of the index of their shards.
        tensors: how many of the file are in the model.
        parameters: numbers of the model, tied ones once.
        nbytes: bytes that they take in memory.
        fresh: our paths of arrays that the file lacks and that are drawn at random.
        surplus: names in the file that the model has no place for.
        untied: our paths of arrays that the architecture ties and the file does not.
    """

    file: Path
    tensors: int
    parameters: int
    nbytes: int
    fresh: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    untied: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
    """A model of Hugging Face's layout, opened by ``load_pretrained``.

    Attributes:
        folder: where it was read from.
        config: of the network, with the labels and the keys that are only kept.
        head: the name of the head.
        model: an ``EncoderModel`` or an ``EncoderDecoder``; ``model.logits(ids, mask)`` gives what the head says.
        pooling: the pipeline of a folder of sentence-transformers; None where there is none.
        generation: the settings of ``generation_config.json``; None where there is none.
        report: what was found in the file.
        own_tokenizer: of a model that was not read from a folder.
        own_target_tokenizer: that of the texts that such a model writes, where it is another one.
    """

    folder: Path
    config: File
    head: str
    model: Model
    pooling: SentencePipeline | None
    generation: Mapping[str, Any] | None
    report: LoadReport
    own_tokenizer: "SubwordTokenizer | None" = None
    own_target_tokenizer: "SubwordTokenizer | None" = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classifier, in the order of its outputs."""
        return self.config.labels

    @cached_property
    def tokenizer(self) -> "SubwordTokenizer":
        """The tokenizer of the folder, read when it is first asked for.

        Raises:
            InputError: where the folder has none, or it is damaged.
        """
        if self.own_tokenizer is not None:
            return self.own_tokenizer
        from spago_jax.text.tokenizers.load import load_tokenizer

        return load_tokenizer(self.folder)

    @property
    def has_tokenizer(self) -> bool:
        """Whether the folder has files of a tokenizer."""
        return self.own_tokenizer is not None or any((self.folder / name).is_file() for name in TOKENIZER)

    @cached_property
    def generator(self) -> Generator:
        """What writes texts, with the folder's options: ``generate`` and ``stream``; its programs are compiled once.

        It has an array per layer. On a CPU they lie in the memory of ``model``; on other devices they are a copy,
        unless this is a ``separate`` model itself.

        Raises:
            InputError: for a model that writes no texts, or options that are out of range or not supported.
        """
        if not isinstance(self.model, EncoderDecoder) or not isinstance(self.config, EncoderDecoderFile):
            raise InputError(
                f"{self.config.network.architecture} is an encoder, which writes no texts", path=self.folder
            )
        return make_generator(self.model, generation_options(self.config, self.generation, self.folder))

    def separate(self) -> "Pretrained":
        """The same with an array per layer, as texts are answered and written with: in memory once on every device."""
        return dataclasses.replace(self, model=self.model.separate())

    def generate(self, ids: ArrayLike, mask: ArrayLike | None = None, **options: Any) -> Generated:
        """Returns what an encoder-decoder writes for each row of int[batch, time], as transformers' ``generate`` does.

        Args:
            ids: int[batch, time], with the special tokens that the encoder reads.
            mask: bool or int[batch, time], which tokens are real.
            options: by transformers' names, over those of the folder; see ``generation.Options``, and
                ``generation.Generator.generate`` for what else there is.

        Raises:
            InputError: as ``generator``; for ids that are not the model's; for an unknown option, or one out of range.
        """
        return self.generator.generate(ids, mask, **options)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the model in Hugging Face's layout, whole or not at all, and returns its folder.

        ``config.json`` and ``model.safetensors`` are made from the model, with one member of each group of tied
        tensors; the files of the tokenizer and of a pipeline of sentence-transformers are copied as they are.

        Raises:
            InputError: where something is in the way; a model is only replaced with ``overwrite``.
            OSError: where the folder cannot be written.
        """
        folder = Path(folder)
        check_free(folder, overwrite=overwrite)
        arrays = flat(self.model.stacked())
        facts = config_to_huggingface(self.config, self.head)
        facts.pop("torch_dtype", None)  # the older name of the same key
        facts["dtype"] = self.model.dtype.name
        tensors = dict(
            write_weights(weight_table(self.model.config, self.head, classifiers=self._classifiers()), arrays)
        )
        with new_folder(folder, replace=True) as beside:
            self._save_files(beside)
            replace_file(beside / CONFIG, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
            write_safetensors(beside / WEIGHTS, tensors, {"format": "pt"})
        return folder

    def _save_files(self, folder: Path) -> None:
        """Writes what stands beside config and weights, byte for byte."""
        if self.own_tokenizer is not None:
            self.own_tokenizer.save(folder)
            if self.own_target_tokenizer is not None:
                self.own_target_tokenizer.save(folder / TARGET_TOKENIZER)
            if self.generation is not None:
                replace_file(folder / GENERATION, json.dumps(dict(self.generation), indent=2) + "\n")
            if self.pooling is not None:
                write_pipeline(self.pooling, folder, self.model.config.hidden)
            return
        there = (path for pattern in ("*", "[0-9]_*/*") for path in self.folder.glob(pattern) if path.is_file())
        names = [path.relative_to(self.folder).as_posix() for path in there]
        for name in [*small_files(names), *sentence_weights(names)]:
            if name != CONFIG:
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(self.folder / name, folder / name)

    def _classifiers(self) -> tuple[str, ...] | None:
        if not isinstance(self.model, EncoderModel) or not isinstance(self.model.head, Pretraining):
            return None
        # Other architectures than BERT have their own.
        return tuple(self.model.head.classifiers) if self.model.config.architecture == "bert" else None


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuses a folder that is in the way of a model, before any work is done; see ``core.disk.refuse_taken``."""
    refuse_taken(folder, "a model", CONFIG, overwrite=overwrite)


def read_generation(folder: Path) -> Mapping[str, Any] | None:
    """Returns the settings of ``generation_config.json``; None where there is none.

    Raises:
        InputError: where it is damaged.
    """
    path = folder / GENERATION
    return read_object(path) if path.is_file() else None
