"""The flow: Dagster definitions, assets and checks over pure transforms and plain operations, and the command line."""

import gc

# What is imported at a start is no garbage, and looking through it for some after each 700 new objects takes a seventh
# of the start. https://docs.python.org/3.11/library/gc.html#gc.set_threshold
gc.set_threshold(50_000)
