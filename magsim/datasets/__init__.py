"""Labelled snapshots: in memory, on disk, checked, pooled and split. Import from the modules."""
