"""One readable script per task, run from a checkout as `python -m recipes.<name>`."""
