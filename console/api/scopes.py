"""What a key may use of the interface; which tickets, its role and unit say."""

from enum import StrEnum


class Scope(StrEnum):
    """One right of a key."""

    READ = "read"  # tickets, events, evidence, units, categories; personal numbers masked
    TRANSCRIPTS = "transcripts"  # what was said in calls, personal numbers masked
    PERSONAL = "personal"  # full numbers and names of one ticket, with a reason; each reading is logged
    CREATE = "create"  # new tickets
    COMMAND = "command"  # change tickets, as far as the role may
    OPEN311 = "open311"  # send service requests

    @property
    def label(self) -> str:
        """What people see."""
        return SCOPE_LABELS[self]


SCOPE_LABELS = {
    Scope.READ: "读取工单",
    Scope.TRANSCRIPTS: "读取通话转写",
    Scope.PERSONAL: "读取完整个人信息",
    Scope.CREATE: "登记工单",
    Scope.COMMAND: "办理工单",
    Scope.OPEN311: "提交 Open311 诉求",
}
