"""What a trained model says about samples that nobody labelled, and how far it can be believed."""
