"""The package `course_lib.data.pets`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .breeds import (PET_BREEDS)
from .dataset import (draw_pet, draw_pets)

__all__ = ['PET_BREEDS', 'draw_pet', 'draw_pets']
