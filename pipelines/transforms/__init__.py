"""Pure functions over frames and values: normalise, resolve, minimise, plan.

No input or output, no clock, no environment: what a function returns depends on its arguments only.
"""
