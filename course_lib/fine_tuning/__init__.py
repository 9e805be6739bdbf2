"""The package `course_lib.fine_tuning`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from course_lib.extras import needs

with needs('vision'):
    from .backbones import (backbone)
    from .compare import (Comparison, compare_archs)
    from .groups import (param_groups, StepRecorder, discriminative_lrs)
    from .learners import (learner, schedule)
    from .measure import (Node, step_memory, LayerCount, layer_count)
    from .weights import (load_weights)

__all__ = ['Comparison', 'LayerCount', 'Node', 'StepRecorder', 'backbone', 'compare_archs', 'discriminative_lrs',
           'layer_count', 'learner', 'load_weights', 'param_groups', 'schedule', 'step_memory']
