"""The package `course_lib.lr_finder`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .curve import (METHODS, NoSuggestion, LRCurve)
from .fastai_rules import (valley, slide)
from .rules import (lr_sweep, moving_average, minimum, steep, log_smooth, lowest, robust)
from .search import (find_lr, one_cycle, put_back)
from .trials import (trial_rates, grid_rates, trial_plan, settle, pick_trial)

__all__ = ['LRCurve', 'METHODS', 'NoSuggestion', 'find_lr', 'grid_rates', 'log_smooth', 'lowest', 'lr_sweep',
           'minimum', 'moving_average', 'one_cycle', 'pick_trial', 'put_back', 'robust', 'settle', 'slide', 'steep',
           'trial_plan', 'trial_rates', 'valley']
