"""Models that are opened when they are asked for, within a memory budget."""

import time

import pytest
from fakes import Letters, engine, expected

from spago_jax.errors import InputError
from spago_jax.serve.config import ServeConfig
from spago_jax.serve.engine.problems import Unavailable, Unknown
from spago_jax.serve.loading import Loader, weights_of

MB = 2**20
SIZES = {"always": 30, "one": 40, "other": 40, "large": 60}


def loaded(memory: int | None, *names: str, engine_=None):
    """A loader of fakes, all but the first lazy, that has run; and what it opened, in order."""
    opened: list[str] = []

    def open_fake(model):
        opened.append(model.source)
        return Letters("text-classification")

    models = {
        name: {"task": "text-classification", "source": name, **({} if name == "always" else {"load": "lazy"})}
        for name in ("always", *names)
    }
    config = ServeConfig(models=models, limits={} if memory is None else {"memory": memory})
    made = engine_ or engine(Letters())
    made.models, made.state = {}, "starting"
    Loader(config, made, {}, open_fake, lambda _: "1", lambda name: SIZES[name] * MB).run()
    return made, opened


def asked(made, name: str) -> float:
    """Asks a lazy model until it is open."""
    for _ in range(400):
        try:
            (found,) = made.submit(name, ["abc"]).result(5)
        except Unavailable:
            time.sleep(0.005)
        else:
            return found.answer.total
    raise AssertionError(f"{name} was never opened")


def test_a_lazy_model_is_opened_when_it_is_asked_for_and_never_in_a_request():
    made, opened = loaded(None, "one")
    assert (made.state, opened, made.closed()) == ("ready", ["always"], {"one": "text-classification"})
    with pytest.raises(Unavailable, match="is being opened"):
        made.submit("one", ["abc"])
    assert asked(made, "one") == expected("abc")
    assert (opened, made.closed()) == (["always", "one"], {})
    with pytest.raises(Unknown, match="not 'fill-mask'"):
        made.model("one", "fill-mask")
    with pytest.raises(Unknown) as caught:
        made.model("onee")
    assert caught.value.hint == "did you mean 'one'?"
    made.close(1)


def test_the_model_that_was_asked_longest_ago_makes_room_for_another():
    made, opened = loaded(115, "one", "other", "large")
    asked(made, "one"), asked(made, "other"), asked(made, "one")
    assert sorted(made.models) == ["always", "one", "other"]
    asked(made, "large")  # 30 + 40 + 40 + 60: neither of the others may stay
    assert sorted(made.models) == ["always", "large"]
    asked(made, "other")
    assert sorted(made.models) == ["always", "other"]
    asked(made, "one"), asked(made, "other")
    assert opened == ["always", "one", "other", "large", "other", "one"]
    made.close(1)


def test_a_model_with_requests_under_way_is_never_closed():
    made, _ = loaded(75, "one", "other")
    asked(made, "one")
    held = made.models["one"].predictor
    held.gate.clear()
    waiting = made.submit("one", ["abc"])
    held.entered.wait(5)
    for _ in range(20):
        with pytest.raises(Unavailable):
            made.submit("other", ["abc"])
        time.sleep(0.005)
    assert sorted(made.models) == ["always", "one"]
    held.gate.set()
    assert waiting.result(5)[0].answer.total == expected("abc")
    assert asked(made, "other") == expected("abc")
    assert sorted(made.models) == ["always", "other"]
    made.close(1)


@pytest.mark.parametrize(
    ("memory", "message"),
    [(20, "limits.memory = 20 MB, and the models that are always open have 30 MB"),
     (80, "models.large: 60 MB of weights, and limits.memory = 80 MB leaves 50 MB")],
)  # fmt: skip
def test_models_that_can_never_fit_are_refused_before_any_is_opened(memory, message):
    made = engine(Letters(), threads=False)
    with pytest.raises(InputError, match=message):
        loaded(memory, "one", "large", engine_=made)
    assert made.models == {}


@pytest.mark.anyio
async def test_a_model_that_is_closed_is_listed_and_asks_to_come_back(door):
    made = door(Letters("text-classification"))
    loaded(None, "one", engine_=made.engine)
    async with made.client() as client:
        listed = {each["name"]: each["state"] for each in (await client.get("/v1/models")).json()["data"]}
        assert listed == {"always": "open", "one": "closed"}
        assert (await client.get("/v1/models/one")).json()["state"] == "closed"
        reply = await client.post("/v1/models/one/text-classification", json={"input": "abc"})
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        asked(made.engine, "one")
        reply = await client.post("/v1/models/one/text-classification", json={"input": "abc"})
        assert (reply.status_code, reply.json()["answer"]["total"]) == (200, expected("abc"))


def test_a_model_that_cannot_be_opened_leaves_the_others_as_they_are():
    made, _ = loaded(None, "one")
    made.shelf._load = lambda name: (_ for _ in ()).throw(InputError("damaged"))
    for _ in range(3):
        with pytest.raises(Unavailable):
            made.submit("one", ["abc"])
        time.sleep(0.01)
    assert made.submit("always", ["abc"]).result(5)[0].answer.total == expected("abc")
    made.close(1)


def test_an_encoder_of_a_collection_is_there_from_the_start():
    models = {"e": {"task": "text-encoding", "source": "s", "load": "lazy"}}
    with pytest.raises(ValueError, match="needs it from the start"):
        ServeConfig(models=models, collections={"c": {"encoder": "e", "index": "i"}})


def test_the_weights_of_a_model_are_those_of_one_format(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for name, size in (("model.safetensors", 100), ("pytorch_model.bin", 120), ("vocab.txt", 7)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert weights_of(str(tmp_path)) == 100
