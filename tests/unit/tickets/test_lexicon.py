"""The site's names follow their files: what is imported is found in speech and written as it is meant."""

from pathlib import Path

import pytest

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.site_files import SiteFile
from tickets.gazetteer import load_gazetteer, sound_alikes
from tickets.lexicon import load_lexicon, watch_lexicon


def meant(settings: Settings, text: str) -> list[str]:
    return [found.meant for found in load_lexicon(settings).corrector.find(text)]


def test_imported_places_and_words_serve_processes_that_run(settings: Settings) -> None:
    lexicon = watch_lexicon(settings)
    assert lexicon.get().gazetteer.find("家住榆林堡村") is None
    SiteFile(settings.places_path).change(lambda _: "榆林堡村,村,康庄镇,榆林堡\n妫水北街,路,康庄镇,\n")
    SiteFile(settings.words_path).change(lambda _: "煤改电设备\t3\n")
    now = lexicon.get()
    hit, alias, ours = (now.gazetteer.find(text) for text in ("家住榆林堡村", "家住榆林堡", "妫水北街"))
    assert hit is not None
    assert alias is not None
    assert ours is not None
    assert (hit.place.name, hit.place.town) == (alias.place.name, alias.place.town) == ("榆林堡村", "康庄镇")
    assert ours.place.town == "康庄镇"
    assert meant(settings, "鱼林堡村的没改电设备") == ["榆林堡村", "煤改电设备"]
    SiteFile(settings.places_path).change(lambda _: "火星村,村,火星镇\n")
    assert lexicon.get() is now  # a file that became wrong leaves what was known


def test_a_site_may_do_without_corrections(settings: Settings) -> None:
    plain = settings.model_copy(update={"asr": settings.asr.model_copy(update={"correct_names": False})})
    assert meant(settings, "贵水北街") == ["妫水北街"]
    assert meant(plain, "贵水北街") == []


@pytest.mark.parametrize(("name", "text"), [("places.tsv", "火星村,村,火星镇\n"), ("words.tsv", "电\n")])
def test_a_wrong_file_is_named_at_the_start(settings: Settings, name: str, text: str) -> None:
    SiteFile(settings.site_dir / name).change(lambda _: text)
    with pytest.raises(ConfigurationError, match=name):
        load_lexicon(settings)


def test_names_that_nobody_tells_apart_are_listed(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "places.tsv"
    path.write_text("东沟村,村,\n冬沟村,村,\n", encoding="utf-8")
    gazetteer = load_gazetteer(settings.tickets.gazetteer_path, path)
    assert ("东沟村", "冬沟村") in sound_alikes(gazetteer)
