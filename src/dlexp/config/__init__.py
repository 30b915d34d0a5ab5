"""The config: Hydra's composition, the schema, registries, and the role of each key."""
