"""The figures of the report: each a function of the part of the result that it shows."""
