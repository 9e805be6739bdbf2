"""The package `course_lib.scaling`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .checkpoints import (save, resume)
from .costs import (CommModel)
from .learners import (distribute)
from .metrics import (reduce_metrics)
from .norm import (SyncBatchNorm)
from .processes import (Workers, spawn)
from .sums import (global_mean, shard, scale_lr)

__all__ = ['CommModel', 'SyncBatchNorm', 'Workers', 'distribute', 'global_mean', 'reduce_metrics', 'resume', 'save',
           'scale_lr', 'shard', 'spawn']
