"""The package `course_lib.text`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .attention import (attention, RoPE, KVCache, padding_in_front, looks)
from .recurrent import (LSTMCell, LSTM, AWDLSTM, check_ids)
from .transformer import (Block, Transformer)

__all__ = ['AWDLSTM', 'Block', 'KVCache', 'LSTM', 'LSTMCell', 'RoPE', 'Transformer', 'attention', 'check_ids',
           'looks', 'padding_in_front']
