"""Where are passages looked up? Vectors in Chroma, words in the database or tantivy; the record can make all anew."""
