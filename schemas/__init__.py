"""The language: what things are called and what is allowed.

Records, purposes, consent events and their fold, mappings, destination tables, errors.
Imports the standard library and pydantic only; imported by every other folder.
No input or output, no clock, no randomness.
"""
