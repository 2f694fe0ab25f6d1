"""What do ingest, search and their rivals cost, in processor time, memory and disk?"""
