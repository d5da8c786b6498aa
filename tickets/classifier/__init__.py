"""A learned classifier beside the phrases: trained from what a site has, explained, calibrated, NumPy alone at work."""
