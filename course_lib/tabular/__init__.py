"""The package `course_lib.tabular`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .encoding import (quantile_edges, PiecewiseLinearEncoding)
from .estimator import (NotFittedError, Estimator, as_table)
from .explain import (score_of, permutation_importance, Dependence, partial_dependence, trees_of, contributions)
from .forest import (RandomForest)
from .grow import (Tree, goes_left, Rules, presort, grow)
from .impurity import (gini, mse)
from .net import (TabularModel, TabularNet, embed_features, blend)
from .prep import (Rows, TabularPrep, date_parts, time_split)
from .tree import (TreeEstimator, DecisionTree, OneR)

__all__ = ['DecisionTree', 'Dependence', 'Estimator', 'NotFittedError', 'OneR', 'PiecewiseLinearEncoding',
           'RandomForest', 'Rows', 'Rules', 'TabularModel', 'TabularNet', 'TabularPrep', 'Tree', 'TreeEstimator',
           'as_table', 'blend', 'contributions', 'date_parts', 'embed_features', 'gini', 'goes_left', 'grow', 'mse',
           'partial_dependence', 'permutation_importance', 'presort', 'quantile_edges', 'score_of', 'time_split',
           'trees_of']
