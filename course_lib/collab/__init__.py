"""The package `course_lib.collab`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .als import (ALS)
from .baseline import (Baseline)
from .bayes import (BayesianMF)
from .ease import (EASE)
from .ids import (Ids)
from .implicit import (ImplicitALS)
from .io import (save, load)
from .metrics import (hit_rate, recall, ndcg, coverage, evaluate, rmse, mae)
from .movielens import (read_movielens)
from .nets import (Embedding, sigmoid_range, DotProduct, DotProductBias, emb_sz_rule, CollabNN)
from .normal import (normal_equations)
from .pairnet import (PairNet)
from .popular import (MostRated)
from .ratings import (RatingBatches, Loaders, Ratings)
from .recommender import (KINDS, NewUser, Recommender, register)
from .sittings import (TimeResiduals)
from .top import (top_k)
from .train import (Epoch, fit)

__all__ = ['ALS', 'Baseline', 'BayesianMF', 'CollabNN', 'DotProduct', 'DotProductBias', 'EASE', 'Embedding',
           'Epoch', 'Ids', 'ImplicitALS', 'KINDS', 'Loaders', 'MostRated', 'NewUser', 'PairNet', 'RatingBatches',
           'Ratings', 'Recommender', 'TimeResiduals', 'coverage', 'emb_sz_rule', 'evaluate', 'fit', 'hit_rate',
           'load', 'mae', 'ndcg', 'normal_equations', 'read_movielens', 'recall', 'register', 'rmse', 'save',
           'sigmoid_range', 'top_k']

_RENAMED = {"Batches": "RatingBatches"}


def __getattr__(name: str) -> object:
    "A name that was given up, with a warning"
    if name not in _RENAMED: raise AttributeError(f"module 'course_lib.collab' has no attribute {name!r}")
    import warnings
    warnings.warn(f"course_lib.collab.{name} is now called {_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
