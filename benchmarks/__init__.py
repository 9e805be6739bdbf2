"""Scripts that measure one claim each beside its peers; `results/` holds what they measured."""
