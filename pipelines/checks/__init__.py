"""Asset checks: what must hold of an asset, shown with counts. What is checked is worked out in pipelines.operations."""
