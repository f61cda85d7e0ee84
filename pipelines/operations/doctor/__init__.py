"""The doctor: is this CRM environment one that may be written to. Reads only.

`reading` gathers the facts, `guard` asks for a run the few that protect people, `examination` all of them; the rules are
in pipelines.transforms.diagnosis.
"""
