"""Score a whole table with one release on Spark: the API's answers, for millions of rows.

A Databricks job runs `python -m batch` over a table of Unity Catalog; any Spark runs it over
Parquet files. It answers with the API's own code: a row and a request get the same answer.
"""
