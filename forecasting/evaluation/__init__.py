"""How good, how equal: errors on plain and transformed test copies, and the report."""
