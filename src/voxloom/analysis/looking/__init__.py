"""Look at any data: pictures, histograms, and what will hurt later."""
