"""
A finished clip goes from the file host to its destination.

:mod:`.deliver` runs the steps: :mod:`.download` downloads into a part file that survives the process, :mod:`.checks`
checks the clip, :mod:`.previews` draws pictures of it, :mod:`.destination` writes it, and the receipt is completed.
:mod:`.assets`, :mod:`.openlineage` and :mod:`.links` show the clip to Airflow.
"""
