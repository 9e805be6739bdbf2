"""The package `course_lib.text`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .attention import (attention, RoPE, KVCache, padding_in_front, looks)
from .bag import (bag, NBLogistic)
from .bpe import (split_words, BPETokenizer)
from .recurrent import (LSTMCell, LSTM, AWDLSTM, check_ids)
from .stream import (LMStream)
from .transformer import (Block, Transformer)
from .words import (SPECIAL_WORDS, WordTokenizer, Numericalizer)

__all__ = ['AWDLSTM', 'BPETokenizer', 'Block', 'KVCache', 'LMStream', 'LSTM', 'LSTMCell', 'NBLogistic',
           'Numericalizer', 'RoPE', 'SPECIAL_WORDS', 'Transformer', 'WordTokenizer', 'attention', 'bag',
           'check_ids', 'looks', 'padding_in_front', 'split_words']
