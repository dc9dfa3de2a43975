"""What both sides of a release agree on: the record, what a release holds, what training is told.

Training writes by these definitions and the API reads by them, so that neither imports the other.
Standard library only: the serving image carries this package.
"""
