"""Print the problems that the gates find, all of them or those that are named."""
import sys

from tools.gates import claims, fake_cuda, lessons, library, repository
from tools.notebooks import ROOT

GATES = [library.library_in_sync, lessons.executed, repository.no_own_paths, repository.no_dead_imports,
         library.documented, lessons.alt_text,
         lessons.runs_in_jupyter, lessons.lesson_shape, library.module_order, library.no_circles, library.room_size,
         library.readable, library.import_budget, fake_cuda.fake_cuda,
         claims.field_notes, repository.facts_once, claims.typed_numbers, claims.claims_are_shown,
         claims.defined_before_use,
         lessons.exercises_are_complete, lessons.made_from_chapters]


def main() -> int:
    "1 if a gate found a problem"
    asked = [g for g in GATES if g.__name__ in sys.argv[1:] or not sys.argv[1:]]
    found = [f"{gate.__name__}: {p}" for gate in asked for p in gate(ROOT)]
    print("\n".join(found) or f"{len(asked)} gates hold")
    return bool(found)


if __name__ == "__main__": sys.exit(main())
