"""
The commands: ``airflow minimax …`` on Airflow 3.2 and later, ``python -m airflow_provider_minimax …`` on all.

:mod:`.definition` says which there are and imports nothing of ours, because every ``airflow`` command imports it;
:mod:`.show`, :mod:`.balance`, :mod:`.files` and :mod:`.receipts` do what they say. Nothing else of this provider
imports any of them.
"""
