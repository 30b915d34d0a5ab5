"""Sources of samples, their splits, batches and augmentation."""
