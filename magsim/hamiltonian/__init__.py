"""Electronic and classical energy terms of spins on a lattice: data, no solver."""
