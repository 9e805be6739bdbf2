"""The package `course_lib.deploy`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from course_lib.extras import needs

with needs('deploy'):
    from .answers import (Answers)
    from .cards import (wilson, model_card)
    from .graph import (Parity, parity, verify, export_onnx)
    from .pictures import (KINDS, open_picture, to_square)
    from .server import (serve, running)
    from .smaller import (Quantized, quantize)
    from .spaces import (space, check_space)

__all__ = ['Answers', 'KINDS', 'Parity', 'Quantized', 'check_space', 'export_onnx', 'model_card', 'open_picture',
           'parity', 'quantize', 'running', 'serve', 'space', 'to_square', 'verify', 'wilson']
