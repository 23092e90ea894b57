"""Who sees whom: windows as geometric graphs."""
