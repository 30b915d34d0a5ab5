"""The configs that dlexp ships: one folder a group, one YAML an option."""
