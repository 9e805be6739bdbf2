"""What must hold over the whole repository. Each gate takes its root and returns a list of problems, empty when it
holds.

`python -m tools.gates` prints them all, `python -m tools.gates typed_numbers` those of one gate;
`tests/repo/test_gates.py` runs them and breaks each one on purpose.
"""
