"""How an answer is put together from evidence, rows, receipts and findings: quoting, never inventing."""
