"""
From the file host to the place that the DAG said: whole, checked, and written down.

``download`` fetches into a part file that outlives the process, ``places`` knows where clips land and how they are put
there, and ``landing`` does one after the other and keeps the receipt.
"""
