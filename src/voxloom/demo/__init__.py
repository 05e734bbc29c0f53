"""Images for the demo, with their own terms in LICENSE.txt; this package holds no code."""
