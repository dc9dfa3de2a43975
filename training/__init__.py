"""Training: from the employee table to one registered release.

The local stack runs it as a child process (`python -m training --help`), a Databricks job as its
task. It writes what `contract` describes and knows nothing of the infrastructure or the API.
"""
