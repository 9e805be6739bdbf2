"""The package `course_lib.distillation`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .cwtm import (cwtm_loss, CWTMLoss)
from .function import (cwtm_gradient, CWTMFunction)
from .generations import (BornAgain, born_again)
from .soft import (kd_loss, ban_loss, permute_non_argmax, dkpp_loss)
from .training import (Ensemble, Distill, teacher_confidence)

__all__ = ['BornAgain', 'CWTMFunction', 'CWTMLoss', 'Distill', 'Ensemble', 'ban_loss', 'born_again',
           'cwtm_gradient', 'cwtm_loss', 'dkpp_loss', 'kd_loss', 'permute_non_argmax', 'teacher_confidence']
