"""Figures that mean the same on any machine: ratios and counts. `make bench` prints them."""
