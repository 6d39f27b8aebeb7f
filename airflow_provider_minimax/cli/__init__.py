"""
The commands: ``airflow minimax …`` on Airflow 3.2 and later, ``python -m airflow_provider_minimax …`` on all.

:mod:`.definition` defines them and imports nothing else of this provider, because every ``airflow`` command imports it.
:mod:`.show`, :mod:`.balance`, :mod:`.files` and :mod:`.receipts` run them; :mod:`.text` and :mod:`.manifest` write what
they print. Nothing else in this provider imports any of these.
"""
