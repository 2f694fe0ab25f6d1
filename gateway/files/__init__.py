"""`/v1/files`: how do requests come in as files, and their results out?"""
