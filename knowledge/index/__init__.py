"""Where are passages looked up? Vectors in Chroma, words in the database or in tantivy; the record can make them anew."""
