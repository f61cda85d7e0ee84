"""A synthetic organisation: made-up people, what they submitted where and when, and what it all truly says.

`make_organisation` is pure and fast. The stand-ins beside this package put its history into a database, behind
websites and into a folder; `Organisation.submissions` is the plain truth beside which the pipeline can be judged.
"""

from sandbox.organisation.history import Organisation, make_organisation
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Said, Submission

__all__ = ["Organisation", "Person", "Said", "Submission", "make_organisation"]
