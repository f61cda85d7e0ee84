"""Finance's own rules: account numbers, e-invoice addresses, amounts, the entries of a feed, and how long they are kept.

Nothing outside finance imports this folder; it may use the shared rules of text, names of countries and identifiers.
"""
