"""The package `course_lib.tricks`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .accumulation import (label_count, Accumulate)
from .averaging import (EMA, soup, refresh_batch_norm, Average)
from .checkpointing import (Checkpointed, checkpointed)
from .fastai_callbacks import (accumulate_callback, mix_callback, ema_callback)
from .mixing import (Mixed, mixed, draw_share, mixup, cutmix, Mix)
from .sums import (accumulate, multi_target)
from .views import (View, views, tta)

__all__ = ['Accumulate', 'Average', 'Checkpointed', 'EMA', 'Mix', 'Mixed', 'View', 'accumulate',
           'accumulate_callback', 'checkpointed', 'cutmix', 'draw_share', 'ema_callback', 'label_count',
           'mix_callback', 'mixed', 'mixup', 'multi_target', 'refresh_batch_norm', 'soup', 'tta', 'views']
