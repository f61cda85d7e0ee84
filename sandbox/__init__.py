"""Stand-ins for every outside system, and the maker of a synthetic organisation.

Imported by the demo, the tests and the benchmarks only. The Dataverse emulator imports nothing of ours,
so that it cannot share the client's mistakes.
"""
