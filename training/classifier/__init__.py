"""The attrition classifier: its columns, its fit, its uncertainty, and its compiled form."""
