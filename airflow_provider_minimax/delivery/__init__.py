"""
From the file host to the place that the DAG said: whole, checked, and written down.

:mod:`.download` fetches into a part file that outlives the process, :mod:`.destination` knows where clips go and how
they are put there, and :mod:`.deliver` does one after the other and completes the receipt.
"""
