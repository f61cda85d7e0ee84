"""The store: PostgreSQL, embedded or given, and everything that touches it.

Where it runs (server), how it is spoken to (engine, bulk, locks), how it is laid out (metadata, tables, migrations),
and what lies in it encrypted (keys, landing). What the rows mean is told in schemas; nothing here decides anything.
"""
