"""What may be equal: transforms that act on typed fields."""
