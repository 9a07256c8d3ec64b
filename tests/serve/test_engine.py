"""The engine: nothing here waits for real time or compiles anything."""

import asyncio
import random
import threading

import pytest
from fakes import Clock, Letters, Teller, Writer, engine, expected, until

from spago_jax.errors import InputError
from spago_jax.serve.engine import Engine, Limits
from spago_jax.serve.engine.meter import KeptMeter
from spago_jax.serve.engine.problems import Cancelled, Expired, Overloaded, Refused, TooLarge, Unavailable, Unknown
from spago_jax.serve.metrics import Metrics

TEXTS = ["a" * n for n in (1, 60, 3, 17, 33, 16, 2, 64, 40, 5)]


def run(made: Engine) -> None:
    for _ in range(10_000):
        if not made.step():
            return
    raise AssertionError("it goes on for ever")


def test_single_batch_and_shuffled_batch_give_the_same_answers():
    with engine() as made:
        alone = [made.submit("a", [text]).result(5)[0].answer.total for text in TEXTS]
        together = [outcome.answer.total for outcome in made.submit("a", TEXTS).result(5)]
        shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
        mixed = {outcome.answer.text: outcome.answer.total for outcome in made.submit("a", shuffled).result(5)}
    assert alone == together == [mixed[text] for text in TEXTS] == list(map(expected, TEXTS))


def test_two_hundred_requests_of_mixed_lengths_use_no_shape_that_was_not_warmed():
    fake = Letters()
    draw = random.Random(1)
    texts = ["x" * draw.randint(1, 64) for _ in range(200)]
    made = engine(fake, threads=False, batch_tokens=512)
    allowed = set(fake.shapes())
    requests = [made.submit("a", [text]) for text in texts]
    run(made)
    assert [request.result(0)[0].answer.total for request in requests] == list(map(expected, texts))
    assert set(fake.calls) <= allowed
    assert len(fake.calls) < 60  # batches, and not 200 calls
    padded, real = (made.meter.counts["batch_tokens", kind] for kind in ("padded", "real"))
    assert real == sum(map(len, texts))
    assert padded / real < 1.7  # rows are padded to the length of their own kind, not to the longest


def test_a_full_queue_refuses_exactly_what_does_not_fit_and_answers_the_rest():
    made = engine(threads=False, queue_items=10, request_items=4)
    taken, refused = [], 0
    for number in range(25):
        try:
            taken.append((number, made.submit("a", ["x" * (number + 1)])))
        except Overloaded as problem:
            refused += problem.status == 429 and problem.retry_after >= 1
    assert (len(taken), refused) == (10, 15)
    assert made.meter.counts["rejected_total", "full"] == 15
    run(made)
    for number, request in taken:
        assert request.result(0)[0].answer.total == expected("x" * (number + 1))
    assert made.submit("a", ["again"]).outcomes == [None]


def test_the_queue_is_bounded_in_tokens_too():
    made = engine(threads=False, queue_tokens=256, item_tokens=256)
    first = made.submit("a", ["x" * 64] * 4)
    second = made.submit("a", ["x" * 64])
    with pytest.raises(Overloaded, match="256 padded tokens are waiting, and 256 may"):
        second.result(0)
    run(made)
    assert len(first.result(0)) == 4
    with pytest.raises(TooLarge, match="320 padded tokens"):
        made.submit("a", ["x" * 64] * 5).result(0)


def test_a_single_input_and_a_list_of_one_are_refused_alike():
    """text-embeddings-inference 662: at the limit a single input got 429, and a list of one always passed."""
    made = engine(threads=False, queue_items=2, request_items=2)
    made.submit("a", ["x", "y"])
    for _ in range(3):
        with pytest.raises(Overloaded):
            made.submit("a", ["z"])
    assert made.waiting[0] == 2


def test_large_client_batches_do_not_end_the_process():
    """text-embeddings-inference 470: batches beyond the queue made the process panic."""
    made = engine(threads=False, queue_items=8, request_items=8)
    with pytest.raises(TooLarge, match="100000 inputs, and a request may hold 8"):
        made.submit("a", ["x"] * 100_000)
    found = made.submit("a", ["x"] * 8)
    run(made)
    assert len(found.result(0)) == 8


def test_an_input_that_can_never_fit_is_refused_and_does_not_hold_up_the_queue():
    """text-embeddings-inference 723 and 694: an input longer than a batch looped for ever."""
    made = engine(threads=False, item_tokens=60, queue_tokens=200)
    long = made.submit("a", ["x" * 64])
    short = made.submit("a", ["y"])
    run(made)
    problem = long.result(0)[0].problem
    assert isinstance(problem, Refused)
    assert problem.message == "64 padded tokens, and an input may have 60"
    assert short.result(0)[0].answer.total == expected("y")


def test_a_batch_smaller_than_the_longest_row_is_refused_at_the_start():
    made = Engine(Limits(batch_tokens=32), threads=False)
    with pytest.raises(InputError, match="batch_tokens = 32, and a row of a may have 64 tokens"):
        made.load("a", "token-classification", Letters)
    assert made.models == {}


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="could never be taken"):
        Limits(request_items=9, queue_items=8)
    with pytest.raises(ValueError, match="could never be taken"):
        Limits(item_tokens=9, queue_tokens=8)


def test_a_bad_input_fails_alone():
    """LitServe 340: one bad item made all requests of its batch fail."""
    made = engine(threads=False)
    neighbour = made.submit("a", ["near"])
    mixed = made.submit("a", ["one", "bad", "undecodable", "two", 7])
    run(made)
    assert neighbour.result(0)[0].answer.total == expected("near")
    found = mixed.result(0)
    assert [outcome.status for outcome in found] == [200, 422, 422, 200, 422]
    assert [outcome.problem.field for outcome in found if outcome.problem] == ["inputs[1]", "inputs[2]", "inputs[4]"]


def test_poison_in_a_batch_hurts_nobody_else():
    made = engine(threads=False)
    requests = [made.submit("a", [text]) for text in ("one", "poison", "two")]
    run(made)
    statuses = [request.result(0)[0].status for request in requests]
    assert statuses == [200, 500, 200]
    assert "secret" not in requests[1].result(0)[0].problem.message


def test_the_caller_who_has_left_costs_nothing():
    """TorchServe 2814, LitServe 165: requests of disconnected clients were computed."""
    fake = Letters()
    made = engine(fake, threads=False)
    gone, stays = made.submit("a", ["gone"]), made.submit("a", ["stays"])
    gone.cancel()
    run(made)
    assert isinstance(gone.result(0)[0].problem, Cancelled)
    assert stays.result(0)[0].answer.total == expected("stays")
    assert fake.calls == [(1, 16)]
    assert made.meter.counts["cancelled_total",] == 1
    assert made.waiting == (0, 0)


def test_an_expired_request_is_never_computed():
    """Triton 7532 and 6920: after a client's timeout the request stayed queued and still ran."""
    clock, fake = Clock(), Letters()
    made = engine(fake, threads=False, clock=clock)
    late, other = made.submit("a", ["late"], timeout=1.0), made.submit("a", ["other"], timeout=5.0)
    clock.now += 2
    run(made)
    problem = late.result(0)[0].problem
    assert isinstance(problem, Expired)
    assert "within 1 s" in problem.message
    assert other.result(0)[0].answer is not None
    assert fake.calls == [(1, 16)]
    assert made.meter.counts["expired_total",] == 1


def test_after_a_storm_of_cancellations_everything_succeeds():
    """ray 41057: after a wave of client timeouts, later requests of a batched deployment failed."""
    fake = Letters()
    with engine(fake) as made:
        first = [made.submit("a", ["x" * n]) for n in range(1, 30)]
        assert all(request.result(5)[0].answer for request in first)
        fake.gate.clear()
        storm = [made.submit("a", ["y" * n]) for n in range(1, 60)]
        for request in storm:
            request.cancel()
        fake.gate.set()
        third = [made.submit("a", ["z" * n]) for n in range(1, 30)]
        assert [request.result(5)[0].answer.total for request in third] == [expected("z" * n) for n in range(1, 30)]
        for request in storm:  # before its batch, or as it was read
            assert request.done.exception(5) or request.done.result()
    assert made.waiting == (0, 0)


def test_a_cancelled_entry_does_not_cancel_its_batch():
    fake = Letters()
    with engine(fake) as made:
        fake.gate.clear()
        requests = [made.submit("a", ["first"])]
        assert fake.entered.wait(5)
        requests += [made.submit("a", ["second"]), made.submit("a", ["third"])]
        requests[0].cancel()
        fake.gate.set()
        assert [request.result(5)[0].answer.total for request in requests[1:]] == [
            expected("second"),
            expected("third"),
        ]


def test_a_request_that_failed_leaves_the_next_one_working():
    """TorchServe 1815 and 2357: client timeouts left workers dead for good."""
    with engine() as made:
        assert made.submit("a", ["poison"]).result(5)[0].status == 500
        assert made.submit("a", ["fine"]).result(5)[0].answer.total == expected("fine")
        assert made.reason is None


def test_the_oldest_input_leads_whatever_its_length():
    fake = Letters()
    made = engine(fake, threads=False, batch_tokens=64)
    made.submit("a", ["x" * 64])
    for _ in range(10):
        made.submit("a", ["y"])
    made.step()
    assert fake.calls == [(1, 64)]


def test_batches_are_made_of_what_came_while_the_last_one_ran():
    fake = Letters()
    with engine(fake) as made:
        fake.gate.clear()
        first = made.submit("a", ["first"])
        assert fake.entered.wait(5)
        rest = [made.submit("a", ["x"]) for _ in range(16)]
        until(lambda: made.waiting[1] >= 16 * 16)
        fake.gate.set()
        for request in [first, *rest]:
            request.result(5)
    assert fake.calls == [(1, 16), (16, 16)]


def test_options_are_checked_once_and_named():
    made = engine(threads=False)
    with pytest.raises(Refused) as caught:
        made.submit("a", ["x"], {"tims": 2})
    assert (caught.value.field, caught.value.hint) == ("options.tims", "did you mean 'times'?")
    with pytest.raises(Refused) as caught:
        made.submit("a", ["x"], {"times": "many"})
    assert caught.value.field == "options.times"
    twice, once = made.submit("a", ["x"], {"times": 2}), made.submit("a", ["x"])
    made.step()  # both in one call
    assert twice.result(0)[0].answer.total == 2 * once.result(0)[0].answer.total


def test_a_misspelt_model_or_task_is_named():
    made = engine(Letters(), Writer(), threads=False)
    with pytest.raises(Unknown) as caught:
        made.model("aa")
    assert caught.value.hint == "did you mean 'a'?"
    with pytest.raises(Unknown, match="does token-classification, not 'fill-mask'"):
        made.model("a", "fill-mask")


def test_characters_are_limited_before_anything_is_read():
    made = engine(threads=False, item_characters=50)
    found = made.submit("a", ["x" * 50, "x" * 51, {"text": "y" * 51}])
    run(made)
    assert [outcome.status for outcome in found.result(0)] == [200, 422, 422]
    assert found.result(0)[1].problem.message == "51 characters, and an input may have 50"


def test_a_swap_of_the_model_under_load_is_whole():
    old, new = Letters(), Letters(add=1000.0)
    with engine(old) as made:
        found, stop = [], threading.Event()

        def ask() -> None:
            while not stop.is_set():
                found.append(made.submit("a", ["x", "xx"]).result(5))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: len(found) >= 20)
        made.load("a", new.name, lambda: new, revision="2")
        count = len(found)
        until(lambda: len(found) >= count + 20)
        stop.set()
        asking.join(5)
        assert made.models["a"].revision == "2"
    sums = [tuple(outcome.answer.total for outcome in outcomes) for outcomes in found]
    assert set(sums) == {(120.0, 240.0), (1120.0, 1240.0)}  # never one of each
    assert sums[-1] == (1120.0, 1240.0)


def test_a_swap_that_fails_leaves_the_old_model():
    made = engine(threads=False)
    with pytest.raises(InputError, match="no such folder"):
        made.load("a", "token-classification", lambda: (_ for _ in ()).throw(InputError("no such folder")))
    found = made.submit("a", ["x"])
    run(made)
    assert found.result(0)[0].answer.total == 120.0


def test_a_model_is_warm_before_it_is_served():
    fake = Letters()
    made = Engine(Limits(), threads=False)
    assert made.reason == "the models are being loaded"
    with pytest.raises(Unavailable):
        made.model("a")
    made.load("a", fake.name, lambda: fake)
    assert fake.warmed
    assert fake.max_tokens == made.limits.batch_tokens


def test_a_model_that_writes_has_begun_a_text_before_it_is_served():
    teller = Teller()
    made = engine(teller, threads=False)
    assert teller.begun == [""]
    stream = made.stream("a", "ab")
    run(made)
    assert list(stream) == ["a", "b"]


def test_a_stream_is_read_piece_by_piece_beside_batches():
    writer = Writer()
    made = engine(writer, Letters(), threads=False)
    stream = made.stream("a", "aé😀")
    beside = made.submit("b", ["x"])
    made.step()
    assert beside.done.done()  # not held up by the text that is being written
    run(made)
    assert list(stream) == ["a", "é", "😀"]
    assert writer.closed


def test_a_stream_stops_at_the_step_after_its_reader_has_left():
    writer, clock = Writer(), Clock()
    made = engine(writer, threads=False, clock=clock)
    stream = made.stream("a", "abcdef")
    made.step()
    stream.request.cancel()
    run(made)
    assert writer.closed
    assert stream.pieces == 1
    with pytest.raises(Cancelled):
        list(stream)
    late = made.stream("a", "abcdef", timeout=1)
    made.step()
    clock.now += 2
    run(made)
    with pytest.raises(Expired):
        list(late)
    assert made.waiting == (0, 0)


def test_streams_are_bounded_and_say_what_is_wrong():
    made = engine(Writer(), Letters(), threads=False, streams=1)
    first = made.stream("a", "ab")
    with pytest.raises(Overloaded, match="1 texts are being written"):
        made.stream("a", "ab")
    run(made)
    assert list(first) == ["a", "b"]
    with pytest.raises(Refused, match="this text is bad"):
        list(made.stream("a", "bad"))
    late = made.stream("a", "late")
    run(made)
    with pytest.raises(Refused, match="found out late"):
        list(late)
    with pytest.raises(Refused, match="does not write texts step by step"):
        made.stream("b", "x")
    assert made.waiting == (0, 0)


def test_a_stream_holds_a_place_that_the_gauge_counts_and_is_refused_where_there_is_none():
    made = engine(Writer(), threads=False, queue_items=1, request_items=1, streams=2, meter=Metrics())
    held = made.stream("a", "ab")
    assert made.meter.value("spago_queue_items") == 1
    with pytest.raises(Overloaded, match="1 inputs are waiting, and 1 may"):
        made.stream("a", "ab")
    assert made.meter.value("spago_rejected_total", reason="full") == 1
    run(made)
    assert list(held) == ["a", "b"]
    assert made.meter.value("spago_queue_items") == 0


def test_what_waits_in_an_event_loop_cancels_the_request_when_it_stops_waiting():
    fake = Letters()

    async def go(made: Engine) -> None:
        request = made.submit("a", ["x"])
        waiting = asyncio.ensure_future(request.wait(5))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert request.cancelled
        short = made.submit("a", ["x"], timeout=0.01)
        with pytest.raises(Expired):
            await short.wait(0.01)
        assert short.cancelled

    with engine(fake) as made:
        fake.gate.clear()
        asyncio.run(go(made))
        fake.gate.set()


def test_a_closed_engine_answers_what_it_has_begun_and_takes_nothing_more():
    fake = Letters()
    made = engine(fake)
    fake.gate.clear()
    begun = [made.submit("a", ["x"]) for _ in range(5)]
    closing = threading.Thread(target=made.close)
    closing.start()
    until(lambda: made.state == "closed")
    with pytest.raises(Unavailable):
        made.submit("a", ["y"])
    fake.gate.set()
    closing.join(5)
    assert all(request.result(0)[0].answer for request in begun)


def test_draining_says_so_and_still_answers():
    made = engine(threads=False)
    made.drain()
    assert made.reason == "the server is stopping"
    found = made.submit("a", ["x"])
    run(made)
    assert found.result(0)[0].answer is not None


def test_a_call_that_is_stuck_shows():
    clock, fake = Clock(), Letters()
    with engine(fake, clock=clock, stall=5.0) as made:
        fake.gate.clear()
        made.submit("a", ["x"])
        assert fake.entered.wait(5)
        assert made.reason is None
        clock.now += 6
        assert made.reason == "a call has been running for more than 5 s"
        fake.gate.set()


def test_a_file_of_many_lines_and_a_server_give_the_same_answers():
    texts = ["x" * (1 + n % 64) for n in range(1000)]
    with engine(queue_items=64, request_items=16) as made:
        offline = [outcome.answer for outcome in made.answer_all("a", iter(texts))]
        online = [made.submit("a", [text]).result(5)[0].answer for text in texts[::97]]
    assert [answer.text for answer in offline] == texts
    assert offline[::97] == online


def test_memory_at_a_full_queue_holds_tokens_and_not_activations():
    """cybertron 16, spago 104: 500 concurrent generations hung, and took 12 GB."""
    fake = Letters()
    made = engine(fake, threads=False, queue_items=100)
    taken = 0
    for _ in range(500):
        try:
            made.submit("a", ["x" * 64])
            taken += 1
        except Overloaded:
            pass
    assert taken == 100
    held = sum(entry.prepared.rows.lengths.nbytes + 64 for entry in made._room._waiting)
    assert held < 100 * 1000
    assert fake.calls == []


def test_a_meter_keeps_what_it_is_told():
    meter = KeptMeter()
    made = engine(threads=False, meter=meter)
    made.submit("a", ["x", "yy"])
    run(made)
    assert meter.values["batch_rows",] == [2]
    assert meter.counts["batch_tokens", "real"] == 3
    assert {key[1] for key in meter.values if key[0] == "stage_duration_seconds"} == {"tokenize", "queue", "compute"}
