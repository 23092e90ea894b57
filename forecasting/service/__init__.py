"""Predictions for other programs: an HTTP service, its client and its page."""
