"""`/v1/batches`: how are files of requests worked through, each line as its endpoint would answer it?"""
