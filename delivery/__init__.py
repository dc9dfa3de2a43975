"""What the workflows run: a stack's preview, apply and drift, told in Markdown.

A person can run the same by hand: `python -m delivery --help`.
"""
