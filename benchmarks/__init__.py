"""Benchmarks: ratios measured in one run on one machine, beside pinned versions of what a user would pick instead.

`python -m benchmarks` runs them. Peers live in `peers/`, in an environment of their own. Nothing here is a timed test.
"""
