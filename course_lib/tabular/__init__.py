"""The package `course_lib.tabular`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .encoding import (quantile_edges, PiecewiseLinearEncoding)
from .estimator import (NotFittedError, Estimator, as_table)
from .explain import (score_of, permutation_importance, Dependence, partial_dependence, trees_of, contributions)
from .folds import (repeated_folds, folds_ci)
from .forest import (RandomForest)
from .grow import (Tree, goes_left, Rules, presort, grow)
from .impurity import (gini, mse)
from .leaks import (tree_columns, Leak, find_leaks, Drift, domain_classifier, redundancy_linkage)
from .net import (TabularModel, TabularNet, embed_features, blend)
from .prep import (Rows, TabularPrep, date_parts, time_split)
from .tree import (TreeEstimator, DecisionTree, OneR)

__all__ = ['DecisionTree', 'Dependence', 'Drift', 'Estimator', 'Leak', 'NotFittedError', 'OneR',
           'PiecewiseLinearEncoding', 'RandomForest', 'Rows', 'Rules', 'TabularModel', 'TabularNet', 'TabularPrep',
           'Tree', 'TreeEstimator', 'as_table', 'blend', 'contributions', 'date_parts', 'domain_classifier',
           'embed_features', 'find_leaks', 'folds_ci', 'gini', 'goes_left', 'grow', 'mse', 'partial_dependence',
           'permutation_importance', 'presort', 'quantile_edges', 'redundancy_linkage', 'repeated_folds',
           'score_of', 'time_split', 'tree_columns', 'trees_of']
