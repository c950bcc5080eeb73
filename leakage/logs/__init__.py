"""Logs of other programs, read strictly. Knows no arm and no report."""
