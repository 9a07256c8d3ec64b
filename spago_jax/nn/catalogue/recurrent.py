# SPDX-License-Identifier: BSD-2-Clause
"""Recurrent cells, and models of whole sequences built from them."""

from typing import Any

from spago_jax import nn
from spago_jax.core import Array, Module
from spago_jax.nn.catalogue.entry import Entry

SEQUENCE = ("f32[batch, time, 6]",)


def cell(
    name: str, kind: Any, equation: str, paper: str = "", spago: str = "", *, out: int | None = 4, **options: Any
) -> Entry:
    """A layer of sequences, made by ``kind.init(key, 6, out, **options)``; None: its outputs have its inputs' size."""

    def make(key: Array) -> Module:
        return kind.init(key, *((6,) if out is None else (6, out)), **options)

    return Entry(name, make, SEQUENCE, equation, paper, spago, lengths=True)


ENTRIES = (
    cell(
        "lstm",
        nn.LSTM,
        "c = s(f) c + s(i) tanh(g), h = s(o) tanh(c), [i f g o] = W x + b + W' h",
        "Hochreiter and Schmidhuber (1997)",
        "nn/recurrent/lstm",
    ),
    cell(
        "gru",
        nn.GRU,
        "h = (1 - z) n + z h, n = tanh(W_n x + r (W'_n h)), [r z] = s(W x + b + W' h)",
        "Cho et al. (2014)",
        "nn/recurrent/gru",
    ),
    cell("birnn", nn.BiRNN, "y_t = merge(forward_t, backward_t)", "Schuster and Paliwal (1997)", "nn/birnn"),
    cell("stacked_rnn", nn.StackedRNN, "y = layer_n(... layer_1(x))", "", "nn/stack", layers=2),
    cell("srn", nn.SRN, "h = tanh(W x + b + W' h)", "Elman (1990)", "nn/recurrent/srn"),
    cell(
        "refined_lstm",
        nn.RefinedLSTM,
        "c = s(f) c + x s(i) tanh(g), h = x s(o) tanh(c), [i f g o] = W x + b + W' h",
        "Cheng et al. (2020)",
        "nn/recurrent/lstm",
        out=None,
    ),
    cell(
        "skip_lstm",
        nn.SkipLSTM,
        "an LSTM on mix state_(t-1-k) + (1 - mix) state_(t-1), k = argmax policy(h, x)",
        "Gui et al. (2019)",
        "nn/recurrent/lstmsc",
        actions=3,
        policy_features=5,
    ),
    cell(
        "cfn",
        nn.CFN,
        "h = i tanh(W_c x) + f tanh(h), [i f] = s(W x + b + W' h)",
        "Laurent and von Brecht (2016)",
        "nn/recurrent/cfn",
    ),
    cell(
        "ran",
        nn.RAN,
        "c = i (W_c x + b_c) + f c, h = tanh(c), [i f] = s(W x + b + W' h)",
        "Lee et al. (2017)",
        "nn/recurrent/ran",
    ),
    cell(
        "ltm",
        nn.LTM,
        "c = s(W_c (a b + c)), h = c o, [a b o] = s(W (x + h))",
        "Nugaliyadde et al. (2019)",
        "nn/recurrent/ltm",
        out=None,
    ),
    cell(
        "delta_rnn",
        nn.DeltaRNN,
        "h = tanh(p c + (1 - p) h), c = tanh(alpha v r + beta1 v + beta2 r + b), v = W x, r = W' h, p = s(v + b_p)",
        "Ororbia et al. (2017)",
        "nn/recurrent/deltarnn",
    ),
    cell(
        "ind_rnn",
        nn.IndRNN,
        "h = f(W x + b + w' h), w' a vector",
        "Li et al. (2018)",
        "nn/recurrent/indrnn",
        activation="tanh",
    ),
    cell(
        "horn",
        nn.HORN,
        "h_t = tanh(W x_t + b + sum_i W'_i (0.6^i h_(t-i)))",
        "Soltani and Jiang (2016)",
        "nn/recurrent/horn",
        order=3,
    ),
    cell(
        "fsmn",
        nn.FSMN,
        "h_t = relu(W x_t + b + w' sum_i s_i h_(t-i))",
        "Zhang et al. (2015)",
        "nn/recurrent/fsmn",
        order=3,
        detach=False,
    ),
    cell(
        "mist",
        nn.MIST,
        "h_t = tanh(W x_t + b + W' (r sum_i a_i h_(t-2^i))), r = s(..), a = softmax(..)",
        "DiPietro et al. (2017)",
        "nn/recurrent/mist",
        delays=3,
    ),
    cell(
        "nru",
        nn.NRU,
        "h = relu(W x + b + W' [h; m]), m = m + mean_k (alpha_k V_k - beta_k U_k)",
        "Chandar et al. (2019)",
        "nn/recurrent/nru",
        memory=8,
        heads=2,
    ),
    cell(
        "rla",
        nn.RLA,
        "y = S' phi(q) / (phi(q) z), S = S + phi(k) v', z = z + phi(k), phi = elu + 1",
        "Katharopoulos et al. (2020)",
        "nn/recurrent/rla",
        out=None,
    ),
    cell(
        "shuffle", nn.Shuffle, "h = relu(b + rotate(h)), b = F(x) s(G x)", "Rotman and Wolf (2020)", "nn/recurrent/srnn"
    ),
    cell(
        "srnn",
        nn.SRNN,
        "y = O h + o, h = relu(b + rotate(h)), b = F(x) s(G x)",
        "Rotman and Wolf (2020)",
        "nn/recurrent/srnn",
        hidden=7,
    ),
    cell(
        "bi_srnn",
        nn.BiSRNN,
        "y = norm(O [forward h; backward h] + o)",
        "Rotman and Wolf (2020)",
        "nn/recurrent/srnn",
        hidden=7,
    ),
    cell(
        "tpr",
        nn.TPR,
        "h = vec((S a_s)(R a_r)'), [a_s a_r] = s(W x + b + W' h)",
        "Palangi et al. (2018)",
        "nn/recurrent/tpr",
        symbols=3,
        roles=5,
    ),
    Entry(
        "birnn_crf",
        lambda key: nn.BiRNNCRF.init(key, 6, 4, 3),
        ("f32[batch, time, 6]", "i32[batch, time] < 3"),
        "log p(y | x) by a CRF over W birnn(x) + b",
        "Huang et al. (2015)",
        "nn/birnncrf",
        call=lambda model, xs, tags, **options: model.log_likelihood(xs, tags, options.get("lengths")),
        lengths=True,
    ),
    cell(
        "sentence_lstm",
        nn.SentenceLSTM,
        "c_t = l c_(t-1) + f c_t + r c_(t+1) + s c_g + i u, h_t = o tanh(c_t); c_g = f_g c_g + sum_t f_t c_t",
        "Zhang et al. (2018)",
        "gnn/slstm",
        steps=2,
    ),
    cell(
        "star_transformer",
        nn.StarTransformer,
        "h_t = norm(relu(A(h_t; h_(t-1), h_t, h_(t+1), x_t, s))), s = norm(relu(B(s; s, h)))",
        "Guo et al. (2019)",
        "gnn/startransformer",
        out=None,
        size=4,
        steps=2,
    ),
)
