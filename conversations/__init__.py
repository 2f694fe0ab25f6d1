"""Conversations: what was asked and answered, kept per tenant and user.

Exports: `conversations.contracts` (models and the `ConversationStore` protocol), `conversations.store`.
"""
