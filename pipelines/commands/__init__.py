"""The commands behind `crm-intake`, one module per group; pipelines.cli puts them together. What people see is made here."""
