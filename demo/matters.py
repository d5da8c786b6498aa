"""Made-up complaints with the matter that each is about: for the measurements and tests of duplicates and topics.

A matter has a thing that happened, told in several ways, and what follows from it; a caller picks one of each, adds
where he lives, and what all callers say. Pure: the same random numbers give the same texts.
"""

import random
from dataclasses import dataclass

# category | the ways to tell it, divided by ; | what the callers add, divided by ;
_MATTERS = """
供暖/集中供热温度|家里暖气不热，室温只有十五度;暖气片摸着是凉的，屋里太冷;供暖以后温度一直上不去;地暖烧不热，屋里穿棉袄|老人和孩子都冻感冒了;找热力公司推给物业;供暖费早就交了
供暖/煤改电设备|煤改电的空气源热泵坏了;煤改电设备一直报警不制热;热泵主机结冰，开不了机;电采暖设备启动不了|打厂家售后没人接;屋里温度只有几度;去年才装的就坏
供暖/管网抢修|供热管道爆了，路上冒热气;暖气管漏水，热水往外流;地下供热管线漏了，马路上全是蒸汽|半个小区都没有暖气;路面结冰很危险
水电气讯/供水|从早上开始停水，没有通知;自来水发黄，有铁锈味;水压太低，高层没有水;家里水龙头流出来的水是浑的|做饭都没法做;好几栋楼都这样;打自来水公司说不知道
水电气讯/供电|整条街停电了;电压不稳，家用电器老是跳闸;变压器坏了，停电一整天;电线杆歪了，电线快掉下来|冰箱里的东西都坏了;已经停了三次
水电气讯/通信网络|家里宽带断了三天;手机在屋里没有信号;基站拆了以后打不了电话|孩子上网课都上不了;报修了没人上门
物业管理/电梯|电梯坏了一个星期没修;电梯运行时突然下坠;两部电梯停了一部，早晚要等很久;电梯门关不严，老是困人|家里有坐轮椅的老人下不了楼;物业说没钱换零件
物业管理/服务质量|楼道里垃圾没有人打扫;小区保安形同虚设，外来人员随便进;单元门坏了很久没修;小区监控都是坏的|物业费年年交;找物业没人管
物业管理/物业收费|物业私自涨物业费;物业收公摊水电费没有明细;不交停车费就不让进小区|没有公示过;业主都不同意
住房/房屋漏雨修缮|楼顶漏雨，墙皮都泡掉了;一下雨屋里就漏水;外墙渗水，墙面发霉|维修基金申请了一年没批;物业和开发商推来推去
住房/产权证|入住五年了房产证还没办下来;开发商拖着不给办不动产证|孩子上学要用房产证;没法贷款
住房/老旧小区改造|老楼加装电梯停工了;老旧小区改造管道换了一半没人管了;外墙保温做到一半停了|脚手架搭了半年;路面都挖开了
城乡建设/违法建设|一楼邻居私搭阳光房;楼顶有人盖违建彩钢房;院墙外违章搭建占了消防通道|举报过没有拆;挡住了我家采光
城乡建设/施工扰民|工地半夜还在打桩;夜里施工噪音吵得睡不着;混凝土车整夜轰鸣|孩子马上高考;打过电话停一天又开始
市容环卫/垃圾清运分类|垃圾桶满了三天没人清运;垃圾站臭气熏天;厨余垃圾桶溢出来，污水横流|夏天全是苍蝇;居民绕着走
市容环卫/占道经营|烧烤摊占了人行道;早市摊贩把路都堵了;水果车长期占道叫卖|油烟往家里灌;上班车都开不出去
市容环卫/公厕|公厕没水没法冲;公厕门锁坏了，里面很脏;公共厕所晚上锁门|老人找不到厕所;味道特别大
市政园林/路灯|路灯不亮，晚上一片漆黑;一整排路灯都灭了;路灯坏了好多天没人修;路灯一闪一闪的|晚上老人摔了一跤;学生下晚自习看不见路
市政园林/道路破损|路面塌了一个大坑;人行道地砖翘起来;柏油路坑坑洼洼全是裂缝|骑车差点摔倒;下雨全是积水
市政园林/排水井盖|井盖丢了，路中间一个洞;污水井往外冒脏水;井盖被压碎了，车过咣当响|怕小孩掉下去;味道很难闻
市政园林/绿化树木|树枝压在电线上;枯树歪了要倒;杨絮满天飞|刮风掉下来砸到车;老人过敏
交通管理/停车|路边全是乱停的车，消防车进不来;小区停车位不够;停车场收费太高|晚上回来绕半小时;车被贴了条
交通管理/公交|公交车改了线，我们这里不停了;公交等了一个小时也没来;末班车取消了|老人看病要走三公里;学生上学迟到
交通管理/信号标线|红绿灯不亮，路口很乱;路口的信号灯时间太短，老人过不去;斑马线磨没了|昨天刚撞了一个人;上下学时间特别危险
环境保护/噪声|楼下歌厅唱到半夜;广场舞音响太大;饭店空调外机嗡嗡响|家里老人心脏不好;一夜一夜睡不着
环境保护/大气扬尘|工地不盖网，尘土飞扬;拉渣土的车一路撒土;有人烧垃圾，烟特别大|窗户都不敢开;晾的衣服全是土
环境保护/水污染|河水发黑发臭;养殖场把粪水排到沟里;工厂偷排污水|鱼都死了;井水不敢喝
农村管理/宅基地|邻居盖房占了我家宅基地;宅基地审批报上去一年没下来;村里不给批宅基地|因为这个打过架;儿子结婚没房住
农村管理/土地承包流转|土地流转费欠了两年没给;合作社占了我家承包地不给钱;承包地被占了种树|村里说没钱;合同都在
劳动社保/欠薪|工地拖欠三个月工资;老板跑了，工钱没结;干了半年活一分钱没拿到|马上过年了;一起干活的有十几个人
劳动社保/社会保险|单位不给交社保;养老金这个月没有到账;社保转移办了三个月没办完|打电话没人接;问了让等着
教育文体旅游/入学升学|孩子上小学划片划到很远的学校;外来务工子女上学材料批不下来;幼儿园不让报名|马上开学了;附近学校明明有名额
教育文体旅游/校外培训|培训机构关门，学费不退;健身房跑路，办的卡没法退|交了一万多;一百多个家长都在要钱
医疗民政/就医服务|医院挂不上号;急诊等了四个小时;村卫生室没有药|老人疼得受不了;白跑了一趟
医疗民政/养老助残|养老驿站的饭停了;残疾人补贴没发下来;养老院乱收费|八十多岁没人照顾;靠这个钱买药
市场与企业服务/消费纠纷|买的手机是翻新机，商家不退;网购家具有味道不给退;预付卡不给用|有发票有录音;打电话就挂
市场与企业服务/食品安全|饭店吃出虫子;超市卖过期牛奶;外卖吃完拉肚子|去医院看了;老板态度恶劣
公共安全与政务/消防安全|楼道里停电动车充电;消防通道堵死了;消防栓没有水|去年就着过火;贴了通知没人听
公共安全与政务/政务办事|办事大厅排队三个小时;网上申请一直不受理;窗口让我跑了四趟|请了假来办的;说系统坏了
"""
_PLACES = {
    "永宁镇": ("太平街", "北关村", "永宁古城", "利民街"),
    "康庄镇": ("榆林堡村", "康安小区", "火车站前街", "刁千营村"),
    "张山营镇": ("西大庄科村", "下营村", "上板泉村", "玉皇庙村"),
    "儒林街道": ("川北小区", "康安社区", "儒林苑", "温泉南区"),
    "香水园街道": ("新兴小区", "恒安社区", "高塔小区", "石河营东路"),
    "百泉街道": ("颖泽洲小区", "湖南社区", "舜泽园", "燕水佳园"),
    "大榆树镇": ("阜高营村", "下屯村", "岳家营村", "高庙屯村"),
    "八达岭镇": ("岔道村", "营城子村", "里炮村", "程家窑村"),
    "旧县镇": ("大柏老村", "古城村", "三里庄村", "车坊村"),
    "井庄镇": ("柳沟村", "艾官营村", "宝林寺村", "王仲营村"),
}
_OPENERS = ("您好，", "你好，我想反映一下，", "喂，是12345吗，", "", "麻烦问一下，", "我要投诉，", "同志你好，")
_WHERE = ("我住在{}，", "我们{}这边，", "在{}，", "{}，", "我是{}的居民，", "就是{}，")
_CLOSINGS = (
    "请尽快处理。",
    "麻烦派人来看看。",
    "希望有关部门管一管。",
    "给个答复吧，谢谢。",
    "",
    "太不像话了。",
    "谢谢你们。",
)
_DETAILS = (
    "三号楼",
    "东头",
    "路口",
    "南门",
    "五号楼二单元",
    "村委会旁边",
    "小学门口",
    "北边",
    "菜市场对面",
    "七号院",
    "",
)


@dataclass(frozen=True)
class Kind:
    """A kind of matter: its category, the ways to tell it, what callers add."""

    category: str
    tellings: tuple[str, ...]
    additions: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A made-up complaint. `kind`: the index of its kind; calls about one event have the same kind, town and spot."""

    text: str
    kind: int
    category: str
    town: str
    spot: str


def _kinds() -> tuple[Kind, ...]:
    lines = (line.split("|") for line in _MATTERS.strip().splitlines())
    return tuple(Kind(category, tuple(told.split(";")), tuple(more.split(";"))) for category, told, more in lines)


KINDS = _kinds()
TOWNS = tuple(_PLACES)


def complain(
    chance: random.Random, kind: int | None = None, town: str = "", spot: str = "", detail: str | None = None
) -> Made:
    """A complaint; what is not given is drawn. `spot`: a place of the town; `detail`: where in it."""
    kind = chance.randrange(len(KINDS)) if kind is None else kind
    town = town or chance.choice(TOWNS)
    spot = spot or chance.choice(_PLACES[town])
    detail = chance.choice(_DETAILS) if detail is None else detail
    where = chance.choice((town, "", "", "")) + spot + (detail if chance.random() < 0.8 else "")
    telling = chance.choice(KINDS[kind].tellings)
    more = chance.choice(KINDS[kind].additions) + "。" if chance.random() < 0.7 else ""
    text = (
        chance.choice(_OPENERS) + chance.choice(_WHERE).format(where) + telling + "，" + more + chance.choice(_CLOSINGS)
    )
    return Made(text, kind, KINDS[kind].category, town, spot)
