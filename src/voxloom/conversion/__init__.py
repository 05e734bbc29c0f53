"""From any source to a store: planned in shards, written by any number of processes, resumable."""
