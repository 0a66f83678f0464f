"""Names and plugins, with real entry points: the metadata of a distribution in a folder on sys.path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fcnbench import __version__
from fcnbench.errors import DatasetPluginError, ModelPluginError, UnknownName
from fcnbench.models.registry import MODELS
from fcnbench.registry import Entry, Registry

GROUP = "fcnbench_test.models"

Install = Callable[..., None]

BUILTINS = {"fcn8s": "fcnbench.labelspace:voc_palette", "fcn16s": "no.such.module:nothing", "fcn32s": "math:tau"}


def registry(builtins: dict[str, str] | None = None, kind: str = "model", group: str = GROUP) -> Registry:
    failure = ModelPluginError if kind == "model" else DatasetPluginError
    return Registry(kind, group, BUILTINS if builtins is None else builtins, failure)


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    """Modules named `plug_...` are imported afresh by every test."""
    yield
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution: `install("pkg-name", {"entry": "module:attribute"}, module="its source", ...)`."""

    def make(
        package: str, points: dict[str, str], version: str = "1.2", group: str = GROUP, where: str = "", **modules: str
    ) -> None:
        site = tmp_path / (where or f"site-{package}")
        metadata = site / f"{package.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))

    return make


# --- what is found ---------------------------------------------------------------------------------------------------


def test_builtin_names_are_listed_in_order_with_their_target_and_version() -> None:
    assert list(registry().entries().values()) == [
        Entry(name, target, "fcnbench", __version__) for name, target in BUILTINS.items()
    ]


def test_a_plugin_is_listed_with_its_package_and_loaded(install: Install) -> None:
    install("nice-nets", {"net": "plug_nice:make"}, plug_nice="def make():\n    return 'a net'\n")
    found = registry()
    assert found.find("net") == Entry("net", "plug_nice:make", "nice-nets", "1.2")
    assert found.load("net")() == "a net"
    assert found.clashes() == []
    assert found.broken() == []


def test_builtins_come_first_and_plugins_follow_by_name(install: Install) -> None:
    install("b-pack", {"zebra": "plug_b:x", "camel": "plug_b:x"})
    install("a-pack", {"lion": "plug_a:x"})
    assert list(registry().entries()) == [*BUILTINS, "camel", "lion", "zebra"]


def test_attributes_of_attributes_can_be_named(install: Install) -> None:
    install("deep", {"deep": "plug_deep:Zoo.inner.make"}, plug_deep="class Zoo:\n    class inner:\n        make = 7\n")
    assert registry().load("deep") == 7


def test_other_groups_are_left_alone(install: Install) -> None:
    install("elsewhere", {"net": "plug_else:x"}, group="another.group")
    assert "net" not in registry().entries()


def test_listing_imports_nothing(install: Install) -> None:
    # The module leaves a mark when it is imported; the built-in `no.such.module` could not be imported at all.
    install("shy", {"shy": "plug_shy:x", "fcn8s": "plug_shy:x"}, plug_shy="raise SystemError('imported')\n")
    found = registry()
    before = set(sys.modules)
    assert "shy" in found.entries()
    assert found.find("shy").provider == "shy"
    assert len(found.clashes()) == 1
    with pytest.raises(UnknownName):
        found.find("nothing like it")
    assert not [name for name in set(sys.modules) - before if name.startswith("plug_")]


def test_loading_one_plugin_imports_no_other(install: Install) -> None:
    install("good", {"good": "plug_good:x"}, plug_good="x = 1\n")
    install("bad", {"bad": "plug_bad:x"}, plug_bad="raise RuntimeError\n")
    assert registry().load("good") == 1
    assert "plug_bad" not in sys.modules


def test_a_plugin_installed_later_is_seen_by_the_same_registry(install: Install) -> None:
    found = registry()
    assert "late" not in found.entries()
    install("late", {"late": "plug_late:x"}, plug_late="x = 1\n")
    assert found.load("late") == 1


def test_one_installation_seen_twice_on_the_path_is_one_plugin(install: Install) -> None:
    install("twice", {"net": "plug_twice:x"}, where="here", plug_twice="x = 1\n")
    install("twice", {"net": "plug_twice:x"}, where="there", plug_twice="x = 1\n")
    assert registry().clashes() == []
    assert registry().load("net") == 1


def test_an_entry_that_is_listed_twice_with_one_target_is_one_plugin(install: Install) -> None:
    install("stutter", {"net": "plug_stutter:x", "net ": "plug_stutter:x"}, plug_stutter="x = 1\n")
    assert registry().clashes() == []
    assert registry().load("net") == 1


def test_the_models_of_other_packages_join_the_real_registry(install: Install) -> None:
    install("nice-nets", {"nice": "plug_real:make"}, group="fcnbench.models", plug_real="make = 3\n")
    assert MODELS.load("nice") == 3
    assert list(MODELS.entries())[-1] == "nice"


# --- what is broken --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package_at_all\n", "ModuleNotFoundError: No module named 'no_such_package_at_all'"),
        ("raise RuntimeError('needs a licence')\n", "RuntimeError: needs a licence"),
        ("def broken(:\n", "SyntaxError"),
        ("other = 1\n", "AttributeError"),
    ],
    ids=["missing import", "raises", "syntax", "no attribute"],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_its_package_and_its_error(
    install: Install, source: str, reason: str
) -> None:
    install("sad-nets", {"sad": "plug_sad:make"}, version="0.3", plug_sad=source)
    found = registry()
    assert "sad" in found.entries()
    with pytest.raises(ModelPluginError) as caught:
        found.load("sad")
    for part in ("'sad'", "sad-nets 0.3", "plug_sad:make", reason):
        assert part in caught.value.message
    assert "sad-nets" in caught.value.hint
    assert caught.value.__cause__ is not None
    [broken] = found.broken()
    assert broken.entry == Entry("sad", "plug_sad:make", "sad-nets", "0.3")
    assert reason in broken.reason


def test_a_plugin_whose_module_is_gone_is_broken(install: Install) -> None:
    install("ghost", {"ghost": "plug_ghost:make"})
    with pytest.raises(ModelPluginError, match="plug_ghost"):
        registry().load("ghost")


def test_a_plugin_that_names_a_module_only_is_broken_and_not_a_crash(install: Install) -> None:
    install("bare", {"bare": "plug_bare"}, plug_bare="x = 1\n")
    with pytest.raises(ModelPluginError, match="bare"):
        registry().load("bare")


def test_a_broken_dataset_raises_the_error_of_datasets(install: Install) -> None:
    install("sad-data", {"sad": "plug_sad:make"})
    with pytest.raises(DatasetPluginError, match="the dataset 'sad'"):
        registry(kind="dataset").load("sad")


def test_a_broken_plugin_leaves_the_others_usable(install: Install) -> None:
    install("mixed", {"bad": "plug_none:x", "good": "plug_good:x"}, plug_good="x = 5\n")
    found = registry()
    assert found.load("good") == 5
    assert [broken.entry.name for broken in found.broken()] == ["bad"]


def test_a_builtin_that_fails_is_a_bug_of_ours_and_raises_as_it_is() -> None:
    with pytest.raises(ModuleNotFoundError):
        registry().load("fcn16s")


# --- clashes ---------------------------------------------------------------------------------------------------------


def test_a_builtin_name_wins_over_a_plugin_which_is_reported(install: Install) -> None:
    install("usurper", {"fcn32s": "plug_usurper:x"}, plug_usurper="x = 'not tau'\n")
    found = registry()
    assert found.find("fcn32s").provider == "fcnbench"
    assert found.load("fcn32s") == pytest.approx(6.283185307)
    assert list(found.entries()) == list(BUILTINS)
    [clash] = found.clashes()
    assert clash.entry.provider == "usurper"
    assert "'fcn32s'" in clash.reason
    assert "usurper" in clash.reason
    assert clash in found.broken()


def test_two_plugins_that_claim_one_name_make_it_broken_for_both(install: Install) -> None:
    install("first", {"net": "plug_first:x", "mine": "plug_first:x"}, plug_first="x = 1\n")
    install("second", {"net": "plug_second:x"}, plug_second="x = 2\n")
    found = registry()
    assert "net" not in found.entries()
    assert found.load("mine") == 1
    for attempt in (found.find, found.load):
        with pytest.raises(ModelPluginError) as caught:
            attempt("net")
        assert "first" in caught.value.message
        assert "second" in caught.value.message
        assert caught.value.hint
    assert sorted(clash.entry.provider for clash in found.clashes()) == ["first", "second"]
    assert sorted(broken.entry.provider for broken in found.broken()) == ["first", "second"]


def test_one_package_that_claims_a_name_twice_makes_it_broken(install: Install) -> None:
    install("greedy", {"net": "plug_one:x", "net ": "plug_two:x"})
    assert "net" not in registry().entries()
    assert {clash.entry.target for clash in registry().clashes()} == {"plug_one:x", "plug_two:x"}


# --- unknown names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "meant"), [("fcn8", "fcn8s"), ("fnc32s", "fcn32s"), ("fcn-16s", "fcn16s")])
def test_an_unknown_name_suggests_the_closest_one_first(typed: str, meant: str) -> None:
    with pytest.raises(UnknownName) as caught:
        registry().find(typed)
    assert repr(typed) in caught.value.message
    assert f"did you mean {meant}" in caught.value.hint
    assert "fcnbench list models" in caught.value.hint


def test_plugins_are_suggested_too(install: Install) -> None:
    install("nice-nets", {"deeplab-mobile": "plug_nice:make"})
    with pytest.raises(UnknownName, match="deeplab-mobile"):
        registry().load("deeplab-mobil")


def test_a_name_unlike_any_other_gets_the_way_to_the_list() -> None:
    with pytest.raises(UnknownName) as caught:
        registry(kind="dataset").find("zzzzz")
    assert "did you mean" not in caught.value.hint
    assert "fcnbench list datasets" in caught.value.hint


def test_an_unknown_name_is_wrong_usage() -> None:
    with pytest.raises(UnknownName) as caught:
        registry({}).find("anything")
    assert caught.value.exit_code == 2


def test_a_plugin_that_exits_while_it_is_imported_is_broken_and_exits_nothing(install: Install) -> None:
    install("exiting", {"exiting": "plug_exiting:build"}, plug_exiting="import sys\nsys.exit(3)\n")
    with pytest.raises(ModelPluginError, match="SystemExit: 3"):
        registry().load("exiting")


@pytest.mark.parametrize("target", ["plug_spaced : build", "plug_spaced:build [extra]"])
def test_entry_points_are_read_as_the_standard_writes_them(install: Install, target: str) -> None:
    install("spaced", {"spaced": target}, plug_spaced="build = 7\n")
    assert registry().load("spaced") == 7


def test_suggestions_do_not_care_for_capital_letters() -> None:
    with pytest.raises(UnknownName) as caught:
        Registry("model", "fcnbench.nothing", {"fcn8s": "a:b"}, ModelPluginError).find("FCN8S")
    assert "did you mean fcn8s" in caught.value.hint
