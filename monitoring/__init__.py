"""What is asked of the API's log, and what raises an alarm: the queries, the rules, the workbook.

`queries/*.kql` is the one source: saved searches, alert rules, workbook and the local report run
the same text. Nothing here imports a cloud's SDK; `local`, `report` and `plots` are for a laptop.
"""
