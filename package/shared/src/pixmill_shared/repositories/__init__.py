"""Queries, one file per aggregate. Prepared SQL on the hot path (claim, finish, dispatch, submit, deliver);
SQLAlchemy elsewhere; each module says which it is.
"""
