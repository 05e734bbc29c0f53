"""Contract suites, shipped so that an extension can test itself; only tests import this."""
