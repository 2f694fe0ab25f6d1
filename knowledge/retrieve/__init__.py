"""Which passages fit a question, among those that the asker may see?"""
