"""Losses, metrics, optimizers, schedulers, regularizers: one registry each."""
