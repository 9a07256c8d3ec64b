# SPDX-License-Identifier: BSD-2-Clause
"""Recurrent cells, and what runs them in both directions, in stacks, and under a CRF."""

from spago_jax.nn.recurrent.base import Recurrent as Recurrent
from spago_jax.nn.recurrent.birnn import BiRNN as BiRNN
from spago_jax.nn.recurrent.birnn import cell_class as cell_class
from spago_jax.nn.recurrent.birnn_crf import BiRNNCRF as BiRNNCRF
from spago_jax.nn.recurrent.cfn import CFN as CFN
from spago_jax.nn.recurrent.delta_rnn import DeltaRNN as DeltaRNN
from spago_jax.nn.recurrent.fsmn import FSMN as FSMN
from spago_jax.nn.recurrent.gru import GRU as GRU
from spago_jax.nn.recurrent.horn import HORN as HORN
from spago_jax.nn.recurrent.ind_rnn import IndRNN as IndRNN
from spago_jax.nn.recurrent.lstm import LSTM as LSTM
from spago_jax.nn.recurrent.ltm import LTM as LTM
from spago_jax.nn.recurrent.mist import MIST as MIST
from spago_jax.nn.recurrent.nru import NRU as NRU
from spago_jax.nn.recurrent.ran import RAN as RAN
from spago_jax.nn.recurrent.refined_lstm import RefinedLSTM as RefinedLSTM
from spago_jax.nn.recurrent.rla import RLA as RLA
from spago_jax.nn.recurrent.skip_lstm import SkipLSTM as SkipLSTM
from spago_jax.nn.recurrent.srn import SRN as SRN
from spago_jax.nn.recurrent.srnn import SRNN as SRNN
from spago_jax.nn.recurrent.srnn import BiSRNN as BiSRNN
from spago_jax.nn.recurrent.srnn import Shuffle as Shuffle
from spago_jax.nn.recurrent.stacked_rnn import StackedRNN as StackedRNN
from spago_jax.nn.recurrent.stacked_rnn import bibilstm as bibilstm
from spago_jax.nn.recurrent.tpr import TPR as TPR
