"""The doors: all network, file and database access, one package or module per outside system.

Imports schemas and client libraries; never dagster, pipelines, preferences or sandbox.
"""
