"""What does the gateway cost in front of a model, beside others that stand there?"""
