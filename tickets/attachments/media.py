"""What an uploaded file is, by its bytes alone: pure. What it is called and what the sender claims does not count.

Only what a repair needs is taken: photos, short videos, sound, documents without macros, plain text. A file that is two
things at once, or that a browser might take for a page, is refused. Archives are never unpacked: of an office document
only the list of its parts is read (APPNOTE 6.3.10, section 4.3).
"""

import re
import struct
from dataclasses import dataclass
from enum import StrEnum

from hotline.errors import InvalidInputError


class Group(StrEnum):
    """What can be done with a file."""

    PICTURE = "picture"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


@dataclass(frozen=True)
class MediaType:
    """`name` as in RFC 6838; `ending` of its files, with the dot; `label` for people."""

    name: str
    ending: str
    group: Group
    label: str


JPEG = MediaType("image/jpeg", ".jpg", Group.PICTURE, "照片")
PNG = MediaType("image/png", ".png", Group.PICTURE, "图片")
WEBP = MediaType("image/webp", ".webp", Group.PICTURE, "图片")
MP4 = MediaType("video/mp4", ".mp4", Group.VIDEO, "视频")
THREE_GP = MediaType("video/3gpp", ".3gp", Group.VIDEO, "视频")
QUICKTIME = MediaType("video/quicktime", ".mov", Group.VIDEO, "视频")
M4A = MediaType("audio/mp4", ".m4a", Group.AUDIO, "录音")
AMR = MediaType("audio/amr", ".amr", Group.AUDIO, "录音")
AMR_WB = MediaType("audio/amr-wb", ".awb", Group.AUDIO, "录音")
WAV = MediaType("audio/wav", ".wav", Group.AUDIO, "录音")
PDF = MediaType("application/pdf", ".pdf", Group.DOCUMENT, "PDF")
_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = MediaType(f"{_OFFICE}wordprocessingml.document", ".docx", Group.DOCUMENT, "Word 文档")
XLSX = MediaType(f"{_OFFICE}spreadsheetml.sheet", ".xlsx", Group.DOCUMENT, "Excel 表格")
TEXT = MediaType("text/plain", ".txt", Group.DOCUMENT, "文本")
TYPES = {
    item.name: item
    for item in (JPEG, PNG, WEBP, MP4, THREE_GP, QUICKTIME, M4A, AMR, AMR_WB, WAV, PDF, DOCX, XLSX, TEXT)
}

ACCEPTED = "照片（JPEG、PNG、WebP）、视频（MP4、3GP）、录音（M4A、AMR、WAV）、PDF、Word、Excel 和纯文本"
MAX_NAME = 100
MAX_PARTS = 5000
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})
_BRANDS = {b"M4A ": M4A, b"M4B ": M4A, b"qt  ": QUICKTIME}
_MP4_BRANDS = re.compile(rb"iso[m2-9]|mp4[12]|avc1|M4V |MSNV|dash|mmp4")
_MARKUP = re.compile(rb"<\s*(!doctype|html|script|svg|iframe|body|head|\?xml|%|\?php)", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_END, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_LOCATION = re.compile(rb"[+-]\d{2,6}(?:\.\d{1,8})?[+-]\d{3,7}(?:\.\d{1,8})?(?:[+-]\d{1,6}(?:\.\d{1,8})?)?/")


def sniff(data: bytes) -> MediaType:
    """What `data` is; raises `InvalidInputError` for anything that is not taken."""
    if not data:
        raise InvalidInputError("文件是空的", hint="请重新选择文件")
    found = _by_signature(data)
    if found is None:
        return _text(data)
    if found.group is not Group.DOCUMENT and _MARKUP.search(data[:4096]):
        raise InvalidInputError("文件里夹带了网页代码，不能上传", hint="请重新拍照或另存后再上传")
    if found not in (DOCX, XLSX) and _end_of_archive(data) is not None:
        raise InvalidInputError("文件里夹带了压缩包，不能上传", hint="请重新拍照或另存后再上传")
    return found


def safe_name(claimed: str, kind: MediaType) -> str:
    """A name to show and to save under: of the sender's only letters, digits and a few signs, with the true ending.

    >>> safe_name("../../现场 照片.php", JPEG), safe_name("", PDF)
    ('现场 照片.jpg', '未命名.pdf')
    """
    stem = claimed.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or claimed.rpartition("/")[2]
    kept = "".join(sign for sign in stem if sign.isalnum() or sign in " -_()（）·").strip()
    return (kept[: MAX_NAME - len(kind.ending)].strip() or "未命名") + kind.ending


def without_location(data: bytes) -> bytes:
    """A video or sound with the places in it blanked out (ISO 6709, as phones write them); as long as before."""
    return _LOCATION.sub(lambda found: b" " * len(found[0]), data)


def _by_signature(data: bytes) -> MediaType | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"RIFF"):
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(data[8:12]) or _refuse()
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data.startswith(b"#!AMR-WB\n"):
        return AMR_WB
    if data.startswith(b"#!AMR\n"):
        return AMR
    if data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-2048:]:
            raise InvalidInputError("PDF 文件不完整", hint="请重新导出后上传")
        return PDF
    if data.startswith(_LOCAL):
        return _office(data)
    if data.startswith((b"GIF8", b"BM", b"II*\x00", b"MM\x00*")):
        raise InvalidInputError("不支持这种图片格式", hint="请用 JPEG 或 PNG")
    return None


def _by_brand(data: bytes) -> MediaType:
    """ISO base media (ISO/IEC 14496-12, section 4.3): major brand, then the compatible ones."""
    size = struct.unpack_from(">I", data)[0]
    if not 16 <= size <= 512 or size > len(data):
        return _refuse()
    major, compatible = data[8:12], {data[at : at + 4] for at in range(16, size - 3, 4)}
    if major in _HEIF or compatible & _HEIF:
        raise InvalidInputError(
            "暂不支持 HEIC 照片", hint="在手机“设置”的“相机”里把格式改为“兼容性最佳”（JPEG），或截屏后上传"
        )
    if major in _BRANDS:
        return _BRANDS[major]
    if major[:3] in (b"3gp", b"3g2"):
        return THREE_GP
    return MP4 if _MP4_BRANDS.fullmatch(major) else _refuse()


def _office(data: bytes) -> MediaType:
    names = _parts(data)
    if names is None or "[Content_Types].xml" not in names:
        raise InvalidInputError("不接收压缩包", hint="请把里面的文件分别上传")
    if any(name.rpartition("/")[2].lower().startswith("vbaproject") for name in names):
        raise InvalidInputError("文档里有宏，不能上传", hint="请另存为不带宏的 .docx 或 .xlsx")
    found = [kind for part, kind in (("word/document.xml", DOCX), ("xl/workbook.xml", XLSX)) if part in names]
    return found[0] if len(found) == 1 else _refuse()


def _end_of_archive(data: bytes) -> int | None:
    """Where the record that ends a ZIP archive lies, when one reaches exactly to the end of the file."""
    first = max(0, len(data) - 65_557)
    at = data.rfind(_END, first)
    while at >= 0:
        if at + 22 <= len(data) and at + 22 + struct.unpack_from("<H", data, at + 20)[0] == len(data):
            return at
        at = data.rfind(_END, first, at)
    return None


def _parts(data: bytes) -> set[str] | None:
    """The names in a ZIP archive that is nothing else beside; None where it is not one, or too large a list."""
    end = _end_of_archive(data)
    if end is None:
        return None
    count, size, at = struct.unpack_from("<HII", data, end + 10)
    if not 0 < count <= MAX_PARTS or at + size != end:
        return None
    names: set[str] = set()
    for _ in range(count):
        if at + 46 > end or data[at : at + 4] != _ENTRY:
            return None
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        names.add(data[at + 46 : at + 46 + name].decode("utf-8", "replace"))
        at += 46 + name + extra + comment
    return names if at == end else None


def _text(data: bytes) -> MediaType:
    """Plain text is what decodes, holds no control characters and is no page."""
    if _MARKUP.search(data[:4096]) or data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise InvalidInputError("不接收网页和 SVG 图形", hint=f"可以上传：{ACCEPTED}")
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROLS.search(text):
            return TEXT
    return _refuse()


def _refuse() -> MediaType:
    raise InvalidInputError("不支持这种文件", hint=f"可以上传：{ACCEPTED}")
