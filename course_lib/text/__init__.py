"""The package `course_lib.text`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .attention import (attention, RoPE, KVCache, padding_in_front, looks)
from .bag import (bag, NBLogistic)
from .bpe import (split_words, BPETokenizer)
from .encoder import (PretrainedEncoder, pretrained_encoder)
from .folds import (out_of_fold)
from .generate import (next_token, generate)
from .language import (LanguageModel, next_token_loss, ClipGradients, LMLearner, lm_learner, TextBatches,
                       TextClassifier, classifier_from_encoder, fit_gradually, OneCycle)
from .recurrent import (LSTMCell, LSTM, AWDLSTM, check_ids)
from .stream import (LMStream)
from .transformer import (Block, Transformer)
from .words import (SPECIAL_WORDS, WordTokenizer, Numericalizer)

__all__ = ['AWDLSTM', 'BPETokenizer', 'Block', 'ClipGradients', 'KVCache', 'LMLearner', 'LMStream', 'LSTM',
           'LSTMCell', 'LanguageModel', 'NBLogistic', 'Numericalizer', 'OneCycle', 'PretrainedEncoder', 'RoPE',
           'SPECIAL_WORDS', 'TextBatches', 'TextClassifier', 'Transformer', 'WordTokenizer', 'attention', 'bag',
           'check_ids', 'classifier_from_encoder', 'fit_gradually', 'generate', 'lm_learner', 'looks', 'next_token',
           'next_token_loss', 'out_of_fold', 'padding_in_front', 'pretrained_encoder', 'split_words']
