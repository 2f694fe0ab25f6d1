"""Which release of model, parameters, prompts, tools and policy answers, and may this one go live?

`Registry` keeps releases in a folder under version control, `standing` is what its log amounts to, `gate` measures one
release before it may go live. Nothing here knows agents or tools: a release's files are bytes with a hash.
"""
