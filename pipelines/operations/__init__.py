"""What the system does, as plain functions over connectors and transforms.

Dagster assets and the command line call these; nothing here knows of Dagster.
"""
