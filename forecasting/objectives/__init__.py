"""What good means: losses to train on and metrics to report."""
