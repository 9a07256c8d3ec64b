"""What holds of every encoder without an oracle: packing, padding, execution, places, what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoder_oracle import random_config

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.core.precision import Precision
from spago_jax.core.rng import Rng
from spago_jax.core.target import traced_for
from spago_jax.errors import InputError
from spago_jax.models.encoder import EncoderConfig, EncoderModel, config_from_huggingface
from spago_jax.models.encoder.encoder import Encoder
from spago_jax.models.encoder.layer import Layer
from spago_jax.models.encoder.relative import buckets, relative_bias
from spago_jax.models.execution import Execution, cast_but_layers, execution

KINDS = ("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "modernbert")
TINY = EncoderConfig(vocabulary=20, hidden=8, layers=3, heads=2, intermediate=12, positions=12, dropout=0.1)
every = pytest.mark.parametrize("kind", KINDS)
IDS = jnp.asarray(np.random.default_rng(0).integers(3, 17, (2, 7)))
MASK = jnp.arange(7) < jnp.array([[7], [4]])


def tiny(kind: str, head: str = "states", changes: dict | None = None) -> EncoderModel:
    config = config_from_huggingface({"model_type": kind, **random_config(kind, head, 0)}).encoder
    model = EncoderModel.init(jax.random.key(0), dataclasses.replace(config, **(changes or {})), head=head)
    keys = iter(jax.random.split(jax.random.key(1), len(jax.tree.leaves(model))))
    return jax.tree.map(lambda a: a + 0.2 * jax.random.normal(next(keys), a.shape), model)


@every
def test_packed_rows_equal_the_texts_alone(kind):
    """Two texts and padding in one row, against one row each: no word sees another text, positions start again."""
    model = tiny(kind)
    first, second = IDS[0, :4], IDS[1, :5]
    packed = jnp.concatenate([first, second, jnp.full(2, model.config.padding)])[None]
    segments = jnp.array([[1] * 4 + [2] * 5 + [0] * 2])
    run = jax.jit(lambda ids, segments: model.states(ids, segments=segments))
    got = run(packed, segments)
    rows = jnp.full((2, 11), model.config.padding)
    rows = rows.at[0, :4].set(first).at[1, :5].set(second)
    alone = jax.jit(lambda ids, lengths: model.states(ids, lengths=lengths))(rows, jnp.array([4, 5]))
    np.testing.assert_allclose(got[0, :4], alone[0, :4], atol=2e-6)
    np.testing.assert_allclose(got[0, 4:9], alone[1, :5], atol=2e-6)


@every
def test_lengths_a_mask_and_any_padding_give_the_same_states(kind):
    model = tiny(kind)
    run = jax.jit(lambda ids, how: model.states(ids, **how))
    masked = run(IDS, {"mask": MASK})
    by_length = run(IDS, {"lengths": jnp.array([7, 4])})
    np.testing.assert_allclose(masked, by_length, atol=1e-6)
    other = run(jnp.where(MASK, IDS, 5), {"mask": MASK})  # other words in the padding
    np.testing.assert_allclose(jnp.where(MASK[..., None], masked, 0), jnp.where(MASK[..., None], other, 0), atol=1e-6)


AGAIN = (Execution(layers="unroll", remat="full"), Execution(layers="scan", remat="dots"))
WAYS = (Execution(layers="scan"), Execution(layers="unroll"), *AGAIN, Execution(barriers=True))


@pytest.mark.parametrize(("kind", "ways"), [("bert", WAYS), ("albert", WAYS[:2]), ("modernbert", WAYS[:2])])
def test_scanned_unrolled_and_recomputed_layers_give_the_same_numbers(kind, ways):
    """With dropout: the randomness of a layer does not depend on how the layers run."""
    model = tiny(
        kind, changes={"dropout": 0.1, "attention_dropout": 0.2, **({"groups": 2} if kind == "albert" else {})}
    )

    def loss(model, how):
        return (model.states(IDS, MASK, rng=Rng.seed(3), execution=how) ** 2).mean()

    slopes = []
    for how in ways:
        slopes.append(jax.jit(jax.grad(lambda model, how=how: loss(model, how)))(model))
    assert sum(float(jnp.abs(a).sum()) for a in jax.tree.leaves(slopes[0])) > 0
    for other in slopes[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), slopes[0], other)


@pytest.mark.parametrize("layers", ["unroll", "scan"])
def test_layers_cast_one_by_one_give_the_numbers_of_a_model_cast_whole(layers):
    model = tiny("bert")

    def slopes(cast, how):
        def loss(model):
            states = cast(model).states(IDS, MASK, execution=how)
            assert states.dtype == jnp.bfloat16
            return (states.astype(jnp.float32) ** 2).mean()

        return jax.jit(jax.grad(loss))(model)

    whole = slopes(Precision.parse("bfloat16").to_compute, Execution(layers=layers))
    apart = slopes(lambda model: cast_but_layers(model, "bfloat16"), Execution(layers=layers, layer_dtype="bfloat16"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), whole, apart)


def test_a_program_for_another_kind_of_device_has_the_form_for_it():
    model = EncoderModel.init(jax.random.key(0), TINY)
    with traced_for("tpu"):
        step = str(jax.make_jaxpr(lambda model: model.states(IDS, rng=Rng.seed(1)))(model))
        apart = str(jax.make_jaxpr(lambda ids: model.encoder.separate()(ids))(IDS))
    assert "scan" in step  # for training on a CPU, layers are unrolled
    assert "optimization_barrier" not in apart  # on a CPU, there are some


def test_layers_computed_again_take_less_memory():
    """By XLA's analysis of the compiled gradient: the inside of six layers, of which one at a time is kept."""
    model = Encoder.init(jax.random.key(0), dataclasses.replace(TINY, layers=6, positions=64))
    ids = jnp.ones((8, 64), jnp.int32)

    def bytes_of(how: Execution) -> int:
        slope = jax.jit(jax.grad(lambda model: (model(ids, rng=Rng.seed(1), execution=how) ** 2).mean()))
        return slope.lower(model).compile().memory_analysis().temp_size_in_bytes

    whole, dots, full = [bytes_of(Execution(remat=remat, layers="scan")) for remat in (None, "dots", "full")]
    assert full < dots < 0.6 * whole
    assert bytes_of(Execution(remat="full")) == full


@every
def test_all_states_end_in_the_states(kind):
    model = tiny(kind)
    every_layer = jax.jit(lambda ids: model.encoder.all_states(ids, mask=MASK))(IDS)
    assert every_layer.shape == (model.config.layers + 1, *IDS.shape, model.config.hidden)
    np.testing.assert_allclose(every_layer[-1], jax.jit(model.states)(IDS, MASK), atol=1e-6)


def test_execution_of_the_block_around_counts_where_none_is_given():
    model = EncoderModel.init(jax.random.key(0), TINY)
    scanned = str(jax.make_jaxpr(lambda ids: model.states(ids))(IDS))
    with execution(Execution(layers="unroll", barriers=False)):
        plain = str(jax.make_jaxpr(lambda ids: model.states(ids))(IDS))
    assert "scan" in scanned
    assert "scan" not in plain
    assert "optimization_barrier" not in plain
    if jax.default_backend() == "cpu":
        assert "optimization_barrier" in str(jax.make_jaxpr(lambda ids: model.encoder.separate()(ids))(IDS))
    with pytest.raises(InputError, match="layers is 'unrol', did you mean 'unroll'"):
        Execution(layers="unrol")


def test_separate_layers_give_the_same_states():
    model = EncoderModel.init(jax.random.key(0), TINY)
    separate = model.replace(encoder=model.encoder.separate())
    assert separate.encoder.layers[1].up.weight.shape == (12, 8)
    np.testing.assert_allclose(separate.states(IDS), model.states(IDS), atol=1e-6)


def test_separate_layers_of_like_shapes_are_traced_once(monkeypatch):
    deep = dataclasses.replace(TINY, layers=5)
    model = EncoderModel.init(jax.random.key(0), deep)
    traced: list[int] = []
    monkeypatch.setattr(Layer, "__call__", lambda self, x, **_: (traced.append(1), x + self.up.weight.sum())[1])
    found = jax.make_jaxpr(lambda model, ids: model.states(ids))(model.replace(encoder=model.encoder.separate()), IDS)
    assert (len(traced), str(found).count("name=step")) == (1, 5)


@pytest.mark.parametrize("head", ["masked-words", "token-classification", "sequence-classification"])
def test_a_head_reads_given_places_alone(head):
    model = EncoderModel.init(jax.random.key(0), TINY, head=head, labels=3)
    at = jnp.array([[1, 4], [0, 2]])
    got = model.logits(IDS, MASK, at=at)
    if head == "sequence-classification":  # the first token of each text in a packed row
        assert got.shape == (2, 2, 3)
        np.testing.assert_allclose(got[1, 0], model.logits(IDS, MASK)[1], atol=1e-6)
        return
    whole = model.logits(IDS, MASK)
    np.testing.assert_allclose(got, jnp.take_along_axis(whole, at[..., None], 1), atol=1e-6)


def test_masked_words_at_places_never_make_all_logits():
    model = EncoderModel.init(jax.random.key(0), dataclasses.replace(TINY, vocabulary=5000), head="masked-words")
    traced = jax.make_jaxpr(lambda ids, at: model.logits(ids, at=at))(IDS, jnp.zeros((2, 2), int))
    assert (
        max(v.aval.size for e in traced.jaxpr.eqns for v in e.outvars if v.aval.shape[-1:] == (5000,)) == 2 * 2 * 5000
    )


def test_named_classifiers_stand_beside_the_masked_words():
    model = EncoderModel.init(jax.random.key(0), TINY, head="pretraining", classifiers={"species": 6, "chain": 2})
    got = model.logits(IDS, MASK)
    assert {name: x.shape for name, x in got.items()} == {"words": (2, 7, 20), "species": (2, 6), "chain": (2, 2)}
    again = EncoderModel.from_arrays(TINY, "pretraining", flat(model))
    np.testing.assert_array_equal(again.logits(IDS, MASK)["species"], got["species"])


def test_an_untied_decoder_is_kept():
    untied = EncoderModel.init(jax.random.key(0), dataclasses.replace(TINY, tied=False), head="masked-words")
    again = EncoderModel.from_arrays(TINY, "masked-words", flat(untied))
    assert not again.config.tied
    np.testing.assert_array_equal(again.logits(IDS), untied.logits(IDS))


def test_bfloat16_keeps_states_near_and_their_dtype():
    model = tiny("bert", "sequence-classification")
    low = Precision.parse("bfloat16").to_compute(model)
    assert low.states(IDS).dtype == jnp.bfloat16
    np.testing.assert_allclose(low.logits(IDS, MASK).astype(jnp.float32), model.logits(IDS, MASK), atol=0.06, rtol=0.06)


def test_fresh_weights_have_the_initializers_range():
    config = dataclasses.replace(TINY, vocabulary=500, hidden=64, heads=4, intermediate=256, initializer_range=0.05)
    arrays = flat(EncoderModel.init(jax.random.key(0), config, head="masked-words"))
    for path, array in arrays.items():
        if path.endswith(("weight", "words", "positions", "types")) and "norm" not in path:
            assert abs(float(array.std()) - 0.05) < 0.01, path
        elif path.endswith("bias"):
            assert not array.any(), path
    assert not arrays["encoder.embeddings.words"][0].any()  # the pad


def test_modernberts_fresh_weights_are_cut_off_and_smaller_where_they_add_to_the_sum():
    model = tiny("modernbert")
    fresh = EncoderModel.init(jax.random.key(0), dataclasses.replace(model.config, hidden=32, heads=2))
    layers = fresh.encoder.layers
    assert float(jnp.abs(layers.up.weight).max()) <= 2 * model.config.initializer_range
    ratio = float(layers.output.weight.std() / layers.projections.weight.std())
    assert abs(ratio - (2 * model.config.layers) ** -0.5) < 0.05


def test_roles_keep_biases_and_norms_out_of_the_decay():
    roles = sj.roles(EncoderModel.init(jax.random.key(0), TINY, head="masked-words"))
    decayed = {path for path, role in roles.items() if role.decay}
    assert "encoder.layers.attention.query.weight" in decayed
    assert not [path for path in decayed if path.endswith("bias") or "norm" in path]


def test_vmap_over_texts_equals_a_batch():
    model = EncoderModel.init(jax.random.key(0), TINY)
    alone = jax.vmap(lambda ids, mask: model.states(ids, mask))(IDS, MASK)
    np.testing.assert_allclose(alone, model.states(IDS, MASK), atol=1e-6)


def test_too_many_tokens_are_refused_by_number():
    model = EncoderModel.init(jax.random.key(0), TINY)
    with pytest.raises(InputError, match="13 tokens, and bert has positions for 12"):
        model.states(jnp.zeros((1, 13), int))
    counted = dataclasses.replace(TINY, architecture="roberta", count_from=1)
    with pytest.raises(InputError, match="11 tokens, and roberta has positions for 10"):
        EncoderModel.init(jax.random.key(0), counted).states(jnp.zeros((1, 11), int))


def test_what_does_not_fit_is_refused():
    model = EncoderModel.init(jax.random.key(0), TINY)
    with pytest.raises(InputError, match="lengths and a mask were given"):
        model.states(IDS, MASK, lengths=jnp.array([7, 4]))
    with pytest.raises(InputError, match="token ids have dtype float32"):
        model.states(IDS.astype(jnp.float32))
    with pytest.raises(InputError, match="distilbert has no token types"):
        tiny("distilbert").states(IDS, types=IDS)
    with pytest.raises(InputError, match="modernbert has no token types"):
        tiny("modernbert").logits(IDS, types=IDS)
    with pytest.raises(InputError, match="reads no places `at`"):
        model.logits(IDS, at=IDS)
    with pytest.raises(InputError, match="bert has no head 'replaced-token'"):
        EncoderModel.init(jax.random.key(0), TINY, head="replaced-token")
    with pytest.raises(InputError, match="electra has no head 'next-sentence'"):
        EncoderModel.init(jax.random.key(0), dataclasses.replace(TINY, architecture="electra"), head="next-sentence")
    with pytest.raises(InputError, match="3 heads do not divide 8"):
        dataclasses.replace(TINY, heads=3)


@pytest.mark.oracle
def test_relative_buckets_are_those_of_transformers():
    import torch
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distance = torch.arange(-128, 129)
    np.testing.assert_array_equal(buckets(), MPNetEncoder.relative_position_bucket(distance).numpy())
    far = MPNetEncoder.relative_position_bucket(torch.tensor([-500, -129, 129, 500])).tolist()
    assert far == [*buckets()[[0, 0]], *buckets()[[-1, -1]]]


def test_the_relative_bias_is_laid_along_the_diagonals():
    table = jax.random.normal(jax.random.key(0), (32, 3))
    got = relative_bias(table, 200)
    i, j = np.arange(200)[:, None], np.arange(200)[None, :]
    expected = np.asarray(table)[buckets()[np.clip(j - i, -128, 128) + 128]]
    np.testing.assert_array_equal(got, np.moveaxis(expected, -1, 0))
