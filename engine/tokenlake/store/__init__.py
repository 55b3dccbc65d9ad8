"""The lake on disk: its catalog, its Parquet partitions, its ledger and its lock."""
