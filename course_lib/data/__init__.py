"""The package `course_lib.data`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .auctions import (expected_log_price)
from .planted import (expected_rating, ratings_truth)
from .sets import (DataSet, info, catalogue, photographs, get, PET_BREEDS, draw_pet, draw_pets)
from .store import (verify)
from .texts import (number_words, reviews_truth)

__all__ = ['DataSet', 'PET_BREEDS', 'catalogue', 'draw_pet', 'draw_pets', 'expected_log_price', 'expected_rating',
           'get', 'info', 'number_words', 'photographs', 'ratings_truth', 'reviews_truth', 'verify']
