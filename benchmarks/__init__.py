# -*- test-case-name: benchmarks.tests -*-
"""
Mycorrizal measured beside its peers, in one run on one machine.

``python -m benchmarks`` plays each row of the table in turns: every round
starts fresh processes for us and for each peer, one after the other, so that
a slow minute of the machine slows all of them. What is judged is the ratio.

- ``workloads/``  what is measured: one small module for each shape of work
- ``peers/``      how each other product does that work
- ``ours.py`` ``ours_in_process.py``  how Mycorrizal does it; no other module here
  imports it
- ``rows.py`` ``rounds.py`` ``report.py``  the words, the turns, the output
- ``processes.py`` ``child.py``            the two ends of a child process
"""
