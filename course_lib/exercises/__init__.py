"""The package `course_lib.exercises`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .answer import (Wrong, NotWritten, wrong, expect, describe, difference, same, Mistake, told, Answer)
from .judge import (PATIENCE, MEMORY, exercise, mistake, checks, mistakes, limited, code_spans, Result, check)
from .memory import (memory_file, load, save, remember, course, progress)
from .questions import (Quiz, quiz)

__all__ = ['Answer', 'MEMORY', 'Mistake', 'NotWritten', 'PATIENCE', 'Quiz', 'Result', 'Wrong', 'check', 'checks',
           'code_spans', 'course', 'describe', 'difference', 'exercise', 'expect', 'limited', 'load', 'memory_file',
           'mistake', 'mistakes', 'progress', 'quiz', 'remember', 'same', 'save', 'told', 'wrong']
