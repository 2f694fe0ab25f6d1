"""How is a file of requests worked through on idle capacity, so that nothing done is lost or done twice?

`assembly` puts it together: `FileStore` and `BatchStore` are what owners do, `BatchRunner` is the work, and a
`LineWorker` (the gateway's endpoints) is the way to an answer.
"""
