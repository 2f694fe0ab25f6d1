"""The demo workspace: what Larkspur Cargo Bikes, an invented company, keeps in documents, database and ticket desk.

`demo.database.build_operations` writes the operations database, `demo.desk.seed_desk` fills the ticket desk.
The facts that all of it shares stand in `demo/company.md`.
"""
