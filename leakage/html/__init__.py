"""The report as one file that a browser shows: tables, drawings, no script. Knows no record."""
