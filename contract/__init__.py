"""What both sides of a release agree on: the employee record, and what a release holds.

Training writes by these definitions and the API reads by them, so that neither imports the other.
Standard library only: the serving image carries this package.
"""
