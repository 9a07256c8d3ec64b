"""The room of the engine under any sequence of arrivals, departures and batches (no threads, no predictor)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.serve.engine import Limits
from spago_jax.serve.engine.problems import Overloaded, Problem, TooLarge
from spago_jax.serve.engine.request import Entry, Request
from spago_jax.serve.engine.room import Room
from spago_jax.tasks.predictor import Predictor, Prepared


class Kind(Predictor):
    mixes = True

    def stream(self, inputs, *, at_once=None):
        yield from ()


KINDS = (Kind(), Kind())
LIMITS = Limits(queue_items=12, queue_tokens=600, item_tokens=600, request_items=6, batch_tokens=128)

requests = st.lists(
    st.tuples(st.sampled_from(KINDS), st.lists(st.sampled_from([1, 16, 32, 64]), min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)
steps = st.lists(st.one_of(requests, st.just("take"), st.integers(0, 40)), max_size=40)


@settings(max_examples=60)
@given(steps)
def test_whatever_comes_nothing_is_lost_doubled_or_starved(sequence):
    room, alive, taken = Room(LIMITS), [], []
    everyone: list[Request] = []
    for step in sequence:
        if step == "take":
            first = room.first()
            batch = room.take()
            assert [entry.number for entry in batch] == sorted(entry.number for entry in batch)
            assert (first is None) == (batch == [])
            if batch:
                assert batch[0] is first or first in batch  # the oldest always leads: nobody starves
                assert len({entry.prepared.kind for entry in batch}) == 1
                rows = sum(len(entry.prepared.lengths) for entry in batch)
                longest = max(max(entry.prepared.lengths) for entry in batch)
                assert len(batch) == 1 or rows * longest <= LIMITS.batch_tokens
            for entry in batch:
                alive.remove(entry)
                taken.append(entry)
                room.release(1)
        elif isinstance(step, int):
            if everyone:
                everyone[step % len(everyone)].cancel()
            for entry in room.dropped(lambda entry: entry.request.cancelled):
                alive.remove(entry)
                room.release(1)
        else:
            request = Request(len(step), 1e9, 0.0, 1.0, lambda _: None)
            entries = [
                Entry(request, n, Prepared(kind, n, {}, tuple(lengths))) for n, (kind, lengths) in enumerate(step)
            ]
            before = (room.items, room.tokens, len(room))
            try:
                room.reserve(len(entries))
                try:
                    room.put(entries)
                except Problem:
                    room.release(len(entries))
                    raise
            except (Overloaded, TooLarge):  # the whole request, and nothing of it stays
                assert (room.items, room.tokens, len(room)) == before
                continue
            everyone.append(request)
            alive += entries
        assert room.items == len(alive) <= LIMITS.queue_items
        assert room.tokens == sum(entry.tokens for entry in alive) <= LIMITS.queue_tokens
        assert len(room) == len(alive)
    assert len(taken) == len({id(entry) for entry in taken})
