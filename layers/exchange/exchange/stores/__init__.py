"""What the tables hold, read: one module a subject, plain SQL over a connection; it never writes."""
