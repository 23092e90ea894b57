"""How symmetry loosens: who sets the levels, and what a level costs."""
