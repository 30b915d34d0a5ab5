"""The config: Hydra's composition, its schema, registries, and each key once with its role."""
