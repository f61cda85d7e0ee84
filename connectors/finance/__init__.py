"""Finance's own corner of the database: schema `finance`, worked by the role `intake_finance` and by no other.

Only finance's own operations import this package; nothing that knows purposes, people or the CRM does.
"""
