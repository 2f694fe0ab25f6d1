"""Where are passages looked up? Vectors in Chroma, words in FTS5; both can be made again from the record."""
