"""What finance does with its own data: take it from the landing and from its own template, correct it, let it go in time.

Works as the role `intake_finance` through `connectors.finance`. Nothing outside finance imports this folder.
"""
