"""What was read back from AWS and kept: Parquet tables and JSON records, in S3 or a local folder.

store            objects by key: a folder or a bucket
bucket           the bucket's part of it
schema           the tables and their columns
tables           writing rows under dated keys that are derived from the release: a retry overwrites its own
queries          reading them
sightings        what nodes showed over time, for the ledger
release_records  a release's records and report
"""
