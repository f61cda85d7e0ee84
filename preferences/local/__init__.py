"""The page for staff on their own machine: mapping a new form, and taking down what somebody said.

An application of its own, bound to the loopback address; nothing leaves the machine, and nothing of an upload is written
to a disk. Not to be confused with the public pages beside it.
"""
