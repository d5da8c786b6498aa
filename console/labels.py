"""What people see for the codes in the rows. A code without a label is shown as it is."""

from collections.abc import Mapping

from tickets.lifecycle import Command, State
from tickets.roles import Role

STATES = {state.value: state.label for state in State}
STATE_TONES = {
    **dict.fromkeys(("accepting", "to_dispatch", "to_sign"), "attention"),
    **dict.fromkeys(("handling", "deliberating", "to_review", "to_call_back"), "active"),
    **dict.fromkeys(("return_review", "extension_review", "suspended", "supervised"), "warning"),
    **dict.fromkeys(("closed", "answered_directly"), "done"),
}
TYPES = {
    "enquiry": "咨询",
    "help": "求助",
    "complaint": "投诉",
    "report": "举报",
    "suggestion": "建议",
    "praise": "表扬",
}
CHANNELS = {
    "phone": "电话",
    "web": "网络",
    "leader": "领导接听",
    "app": "移动应用",
    "wechat": "微信",
    "visit": "来访",
    "letter": "来信",
    "transfer": "上级转办",
    "open311": "Open311",
    "import": "旧系统",
}
TIERS = {"T1": "T1 安全应急", "T2": "T2 民生急需", "T3": "T3 一般", "T4": "T4 复杂"}
OVERLAYS = {"coal_to_electric": "煤改电维修时限"}
FLAGS = {
    "confidential": "保密",
    "unreasonable": "不合理诉求",
    "excluded": "不计入考核",
    "under_appeal": "申诉中",
    "overdue": "超期",
    "emergency": "紧急",
    "anonymous": "匿名",
    "untranscribed": "待转写",
    "call_back_requested": "要求回电",
    "abandoned": "排队中挂机",
    "vulnerable": "需要关照",
    "dialect": "要求方言服务",
    "foreign_language": "要求外语服务",
}
SPEAKERS = {"caller": "来电人", "hotline": "热线", "seat": "座席"}
SEARCH_ORDERS = {"relevance": "最相关", "time": "最新"}
ROLES = {role.value: role.label for role in Role}
AUDIT_ACTIONS = {
    "sign_in": "登录",
    "sign_in_failed": "登录失败",
    "sign_out": "退出",
    "unmask": "查看完整号码",
    "hear": "收听录音",
    "hear_full": "收听完整录音",
    "download": "下载录音",
    "hold": "法律保全",
    "release_hold": "解除保全",
    "export": "导出转写",
    "search": "按号码搜索",
    "edit": "修改转写",
    "restore": "恢复转写版本",
    "confirm": "确认转写",
    "export_figures": "导出统计",
    "retry_notice": "重发通知",
    "retry_webhook": "重发事件",
    "webhook_personal": "接口可得个人信息",
    "see_photo": "查看现场照片",
    "open_file": "打开附件",
    "download_original": "下载附件原件",
    "call_caller": "拨打诉求人电话",
    "catalogue_import": "导入派单目录",
    "catalogue_confirm": "派单目录生效",
    "catalogue_discard": "放弃派单目录草稿",
    "api_refused": "接口密钥无效",
}
CHANGES = {
    "text": "改文字",
    "split": "拆分",
    "merge": "合并",
    "speaker": "改说话人",
    "delete": "删除",
    "insert": "添加",
    "restore": "恢复",
}
ORIGINS = {"live": "实时转写", "batch": "录音转写", "second": "二次识别", "edit": "人工修改"}
FIELDS = {
    "category": "类别",
    "tier": "时限等级",
    "type": "诉求类型",
    "title": "标题",
    "caller_name": "来电人",
    "phone": "联系电话",
    "place": "属地",
    "address": "地址",
    "overlay": "专项时限",
    "emergency": "紧急",
    "town": "乡镇街道",
    "community": "村（社区）",
    "grid": "网格",
    "gender": "性别",
    "phone_extension": "分机",
    "other_phones": "其他电话",
    "id_number": "身份证号",
    "enterprise": "企业名称",
    "credit_code": "统一信用代码",
    "event_time": "发生时间",
    "since": "持续时间",
    "recurring": "发生规律",
    "amounts": "涉及金额",
    "people": "涉及人数",
    "wants": "诉求",
    "mood": "情绪",
    "urgency": "急迫程度",
    "content": "诉求内容",
}
GENDERS = {"female": "女", "male": "男"}
OBSERVED = {"upset": "焦急", "angry": "激动", "soon": "希望尽快", "urgent": "很急"}
SOURCES = {
    "transcript": "通话转写",
    "seat": "座席复述",
    "text": "来件文字",
    "human": "人工填写",
    "caller_id": "来电号码",
    "rule": "规则",
    "model": "分类模型",
    "alarm": "通话警报",
    "default": "默认值",
}
EVENT_KINDS = {
    "created": "创建工单",
    "fields_extracted": "自动提取要素",
    "accepted": "受理",
    "imported": "从旧系统导入",
    **{command.value: command.label for command in Command},
    "merged_in": "并入工单",
    "reminded": "时限提醒",
    "overdue": "超时督办",
    "attached": "上传附件",
    "link_made": "发出维修链接",
    "link_opened": "打开维修链接",
    "link_revoked": "停用维修链接",
    "survey_scheduled": "安排回访",
    "survey_attempted": "回访拨打",
    "surveyed": "回访结果",
    "survey_not_reached": "回访未接通",
    "survey_cancelled": "取消回访",
}
ACTORS = {"system": "系统"}
END_REASONS = {
    "caller_hangup": "来电人挂机",
    "completed": "受理完成",
    "media_timeout": "线路中断",
    "time_limit": "达到最长时限",
    "internal_error": "系统故障",
    "shutdown": "系统停止",
    "media_crashed": "媒体进程中断",
}


def source_label(source: str) -> str:
    """Where an automatic value comes from; the trained classifier's has its version behind it."""
    kind, _, version = source.partition(" ")
    return f"{label(SOURCES, kind)} {version}".rstrip()


def label(names: Mapping[str, str], code: str) -> str:
    """The label of `code`."""
    return names.get(code, code)
