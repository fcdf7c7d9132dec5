"""The walls of the admin: every page of it derives from one of these classes.

`ScopedModelAdmin` and its variants show one organisation's rows; `OperatorModelAdmin` shows what belongs to
none, to the operator alone.
"""

from smartmaint.accounts.scoped_admin.forms import ScopedModelForm
from smartmaint.accounts.scoped_admin.history import ScopedHistoryAdmin
from smartmaint.accounts.scoped_admin.inlines import ScopedStackedInline, ScopedTabularInline
from smartmaint.accounts.scoped_admin.model_admin import ReadOnlyScopedModelAdmin, ScopedModelAdmin
from smartmaint.accounts.scoped_admin.only_row import OnlyRowAdmin
from smartmaint.accounts.scoped_admin.operator import OperatorModelAdmin, ReadOnlyOperatorModelAdmin
from smartmaint.accounts.scoped_admin.work_queue import WorkQueueAdmin

__all__ = [
    "OnlyRowAdmin",
    "OperatorModelAdmin",
    "ReadOnlyOperatorModelAdmin",
    "ReadOnlyScopedModelAdmin",
    "ScopedHistoryAdmin",
    "ScopedModelAdmin",
    "ScopedModelForm",
    "ScopedStackedInline",
    "ScopedTabularInline",
    "WorkQueueAdmin",
]
