"""The package `course_lib.tabular`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .estimator import (NotFittedError, Estimator, as_table)
from .explain import (score_of, permutation_importance, Dependence, partial_dependence, trees_of, contributions)
from .forest import (RandomForest)
from .grow import (Tree, goes_left, Rules, presort, grow)
from .impurity import (gini, mse)
from .tree import (TreeEstimator, DecisionTree, OneR)

__all__ = ['DecisionTree', 'Dependence', 'Estimator', 'NotFittedError', 'OneR', 'RandomForest', 'Rules', 'Tree',
           'TreeEstimator', 'as_table', 'contributions', 'gini', 'goes_left', 'grow', 'mse', 'partial_dependence',
           'permutation_importance', 'presort', 'score_of', 'trees_of']
