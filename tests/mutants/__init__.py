"""Protocol bugs to plant, as data: what is changed, where, and which promise that breaks.

Rule: `old` stands exactly once in its file (`tests/test_mutations.py`), so the table cannot rot.
"""

from tests.mutants.others import OTHERS
from tests.mutants.ten import TEN
from tests.mutants.time import TIME

MUTATIONS = (*TEN, *OTHERS, *TIME)
