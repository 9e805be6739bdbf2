"""Plausible wrong answers to the exercises, one module for each chapter. Each must fail, for the right reason.

`tests/exercises/test_exercises.py` runs them; a gate counts that every exercise has at least five.
"""
MUTANTS = []  # (module, exercise, pattern the message must hold, the wrong answer)


def mutant(exercise, says):
    "Register a wrong answer to `exercise` whose message must match the regular expression `says`"
    def register(fn):
        MUTANTS.append((fn.__module__.rsplit(".", 1)[-1], exercise, says, fn))
        return fn
    return register
