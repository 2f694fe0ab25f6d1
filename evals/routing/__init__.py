"""Does the embedded engine send a message to the right specialist, and does that call the right tool?"""
