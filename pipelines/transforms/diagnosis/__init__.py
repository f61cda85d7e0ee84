"""The doctor's rules: what was read of a CRM environment in, verdicts with their evidence out. Pure.

`findings` has the words, `facts` what is to be read, `catalogue` every check; a rule is a function of the facts and the
policy that gives findings. Reading is pipelines.operations.doctor's concern, and so is what a run may then do.
"""
