"""Suggesting a mapping for a form that nobody has mapped: from titles, values and definitions. Pure."""
