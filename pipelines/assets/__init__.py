"""Assets: what the runs make, in the words of Dagster. Each reads, calls one operation, and returns counts.

The work is in pipelines.operations; no rule about people, consent or the CRM stands here.
"""
