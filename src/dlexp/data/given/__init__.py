"""Samples that somebody gives to a trained model: pictures, rows of numbers, arrays."""
