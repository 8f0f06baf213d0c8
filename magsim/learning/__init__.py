"""Lightning modules, losses, metrics, committees, trained models on disk. Import from the modules."""
