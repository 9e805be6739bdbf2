"""The package `course_lib.datablocks`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from course_lib.extras import needs

with needs('vision'):
    from .blocks import (NameLabeller, GroupSplitter, picture_hash, precision_at_k)
    from .clean import (top_losses, chance_at_k, apply_choices)
    from .report import (Finding, Report, check_data)
    from .stages import (describe, trace)

__all__ = ['Finding', 'GroupSplitter', 'NameLabeller', 'Report', 'apply_choices', 'chance_at_k', 'check_data',
           'describe', 'picture_hash', 'precision_at_k', 'top_losses', 'trace']

_RENAMED = {"check": "check_data", "_describe": "describe"}


def __getattr__(name: str) -> object:
    "A name that was given up, with a warning"
    if name not in _RENAMED: raise AttributeError(f"module 'course_lib.datablocks' has no attribute {name!r}")
    import warnings
    warnings.warn(f"course_lib.datablocks.{name} is now called {_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
