"""What a person who does not see numbers may change: nothing that would show more of them. Pure.

Numbers are hidden in each speaker's words as one text, so who parts a number, or puts a word into it, would see the
rest of it.
"""

from collections.abc import Sequence

from asr.editing import Delete, Insert, Operation, Sentence, SetText
from asr.masking import mask_spoken


def masked_texts(sentences: Sequence[Sentence]) -> list[str]:
    """The texts as they are shown to who does not see numbers."""
    return mask_spoken([(sentence.speaker, sentence.text) for sentence in sentences])


def reveals(before: Sequence[Sentence], operation: Operation, after: Sequence[Sentence]) -> bool:
    """Whether the operation touches a sentence with a hidden number, or would show a character that was hidden."""
    masked = masked_texts(before)
    if isinstance(operation, SetText | Delete) and masked[operation.at] != before[operation.at].text:
        return True
    gone = {operation.at} if isinstance(operation, SetText | Delete) else set()
    new = (
        {at for at, each in enumerate(after) if each not in before}
        if isinstance(operation, SetText | Insert)
        else set()
    )
    was, now = _characters(before, masked, gone), _characters(after, masked_texts(after), new)
    if [character for character, _ in was] != [character for character, _ in now]:
        return sum(hidden for _, hidden in now) < sum(hidden for _, hidden in was)
    return any(hidden and not still for (_, hidden), (_, still) in zip(was, now, strict=True))


def _characters(sentences: Sequence[Sentence], masked: Sequence[str], without: set[int]) -> list[tuple[str, bool]]:
    """Each character and whether it is hidden; blanks come and go where sentences are parted or joined."""
    return [
        (character, character != shown)
        for at, (sentence, text) in enumerate(zip(sentences, masked, strict=True))
        if at not in without
        for character, shown in zip(sentence.text, text, strict=True)
        if not character.isspace()
    ]
