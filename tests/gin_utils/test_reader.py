"""Files and flags: where they are found, which one wins, and what an error says."""

import pytest

from pcvae import gin_utils
from pcvae.errors import UserError


def _parse(toys, files=("exp.gin",), bindings=(), **kwargs):
    return gin_utils.parse([toys.train], list(files), list(bindings), **kwargs)


def _trained(toys, *args, **kwargs):
    return _parse(toys, *args, **kwargs).call(toys.train, run_dir="r")


def test_include_before_file_before_flag(toys, gin_folder):
    model, _, steps, _, _ = _trained(toys)
    assert (steps, model.width) == (5, 16)
    (gin_folder / "wide.gin").write_text("include 'exp.gin'\nWIDTH = 32\nSTEPS = 6\n")
    model, _, steps, _, _ = _trained(toys, ["wide.gin"], ["STEPS = 7"])
    assert (steps, model.width) == (7, 32)
    model, _, steps, _, _ = _trained(toys, ["wide.gin", "exp.gin"])
    assert (steps, model.width) == (5, 16)


def test_flags_use_the_imports_of_the_files_and_registered_names(toys, gin_folder):
    bindings = [
        "toy_library.train.optimizer_fn = @toy_library.optimizer",
        "toy_library.optimizer.learning_rate = 0.5",
        "train.seed = 3",
        "Model.width = 9",
    ]
    configuration = _parse(toys, bindings=bindings)
    model, _, _, optimizer, _ = configuration.call(toys.train, run_dir="r")
    assert model.width == 9
    assert optimizer == ("optimizer", 0.5, 200.0, False)
    configuration.check_unused()


def test_extra_imports_serve_a_flag(toys, gin_folder):
    (gin_folder / "no_data.gin").write_text(
        "from __gin__ import dynamic_registration\nimport toy_library as t\n"
        "train.model_fn = @t.Model\ntrain.steps = 1\ntrain.dataset = @t.from_spec()\n"
    )
    _, dataset, _, _, _ = _trained(
        toys,
        ["no_data.gin"],
        ["toy_library.from_spec.spec = 'x'"],
        imports=["import toy_library"],
    )
    assert dataset.spec == "x"


def test_a_file_without_dynamic_registration_sees_the_root(toys, gin_folder):
    (gin_folder / "plain.gin").write_text("train.seed = 4\n")
    assert _parse(toys, ["exp.gin", "plain.gin"]).arguments(toys.train, ["seed"]) == {"seed": 4}


def test_search_order_working_directory_shipped_search_path(toys, gin_folder, monkeypatch):
    shipped, further = gin_folder / "shipped", gin_folder / "further"
    for folder, names in ((shipped, "ab"), (further, "abc")):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.gin").write_text(f"train.extra = '{folder.name}'")
    (gin_folder / "a.gin").write_text("train.extra = 'here'")
    monkeypatch.setattr("pcvae.gin_utils.reader.shipped_gin_folder", lambda: shipped)
    for name, expected in (("a", "here"), ("b", "shipped"), ("c", "further")):
        configuration = _parse(toys, [f"{name}.gin"], search_paths=[str(further)])
        assert configuration.arguments(toys.train, ["extra"]) == {"extra": expected}
    (gin_folder / "includes.gin").write_text("include 'b.gin'\n")
    configuration = _parse(toys, [str(gin_folder / "includes.gin")])
    assert configuration.arguments(toys.train, ["extra"]) == {"extra": "shipped"}


HEAD = "from __gin__ import dynamic_registration\nimport toy_library\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("STEPS = ", "bad.gin:1: Unable to parse value"),
        ("STEPS = [1,\n2\n", "bad.gin:3: .*not closed|bad.gin:.*not closed"),
        ("STEPS = 5\nWIDTH = wide", "bad.gin:2: wide is not a gin value: text needs quotes"),
        ("STEPS 5", "bad.gin:1: .*expected ':' or '='"),
        ("include 'bas.gin'", "bad.gin:1: no gin file 'bas.gin'.*--gin_search_path="),
        ("include 'bad.gin'", "bad.gin:1: bad.gin includes itself"),
        ("import toy_libary", "bad.gin:1: cannot import toy_libary"),
        ("import pcvae.modls", "bad.gin:1: cannot import pcvae.modls; did you mean models"),
        ("trian.steps = 5", "bad.gin:1: nothing is named 'trian'; did you mean .*train"),
        ("train.step = 5", "bad.gin:1: train has no parameter 'step'; did you mean steps"),
        ("models.VDVAE.width = 5", "bad.gin:1: nothing is named 'models.VDVAE'"),
        (HEAD + "toy_library.Modle.width = 5", "bad.gin:3: .*did you mean toy_library.Model"),
        (HEAD + "train.model_fn = @toy_library.Modle", "bad.gin:3: .*mean toy_library.Model"),
        (HEAD + "train.model_fn = @toy_librar.Model", "bad.gin:3: nothing is named"),
        (HEAD + "train:\n  seed = 1\n  sed = 2", "bad.gin:5: train has no parameter 'sed'"),
        (HEAD + "toy_library.Model.widht = 5", "bad.gin:3: .*'widht'; did you mean width"),
        (HEAD + "toy_library.calls.x = 5", "neither a function nor a class"),
        ("train.steps = %STEP", "macro %STEP is used but not set"),
        ("train.seed = 'abc'", "bad.gin:1: train.seed takes a number, as 0, but came as 'abc'"),
        ("\x00", "bad.gin"),
    ],
)
def test_errors_of_files_are_one_line_with_the_place(toys, gin_folder, text, says):
    (gin_folder / "bad.gin").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        _parse(toys, ["bad.gin"])
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("bad.gin:1") < 2


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ("STEP = 7", "--gin.STEP: nothing uses STEP; did you mean STEPS"),
        ("STEPS = 'many'", "STEPS takes a number, as 5, but came as 'many'"),
        ("STEPS = True", "STEPS takes a number"),
        ("toy_library.from_spec.spec = 5", "takes a string, as 'synthetic'"),
        ("toy_library.Model.width = 'wide'", "takes a number, as 16, but came as 'wide'"),
        ("toy_library.optimizer.use_warmup = 1", "takes True or False"),
        ("toy_library.Model.widht = 7", "--gin.toy_library.Model.widht: .*did you mean width"),
        ("toy_library.Modl.width = 7", "did you mean toy_library.Model"),
        ("trainer.steps = 7", "nothing is named 'trainer'"),
        ("STEPS = %gin.REQUIRED", "required but not set: STEPS"),
        ("WIDTH = %WIDHT", "macro %WIDHT is used but not set; did you mean WIDTH"),
        ("toy_library.train.model_fn = @toy_library.Modell", "did you mean toy_library.Model"),
    ],
)
def test_errors_of_flags_name_the_flag_and_the_nearest_name(toys, gin_folder, binding, says):
    with pytest.raises(UserError, match=says) as caught:
        _parse(toys, bindings=[binding])
    assert "\n" not in str(caught.value)


def test_numbers_of_either_kind_and_none_may_replace_a_number(toys, gin_folder):
    configuration = _parse(toys, bindings=["WIDTH = 0.5", "train.seed = None"])
    model = configuration.call(toys.train, run_dir="r")[0]
    assert model.width == 0.5


def test_arguments_of_the_bases_are_parameters_too(toys, gin_folder):
    assert _trained(toys, bindings=["toy_library.Model.dtype = 'bfloat16'"])[0].dtype == "bfloat16"


def test_a_missing_required_macro_is_named_with_its_place(toys, gin_folder):
    with pytest.raises(UserError, match=r"required but not set: STEPS \(base.gin:4\)"):
        _parse(toys, ["base.gin"])


@pytest.mark.parametrize("name", ["exp2.gin", "folder", "../nowhere.gin", "/nowhere/exp.gin", ""])
def test_a_missing_file_is_named(toys, gin_folder, name):
    (gin_folder / "folder").mkdir()
    with pytest.raises(UserError, match="no gin file"):
        _parse(toys, [name])


def test_a_missing_file_names_the_nearest_shipped_one(toys, gin_folder, monkeypatch):
    (gin_folder / "shipped" / "experiments").mkdir(parents=True)
    (gin_folder / "shipped" / "experiments" / "quickstart.gin").write_text("")
    monkeypatch.setattr("pcvae.gin_utils.reader.shipped_gin_folder", lambda: gin_folder / "shipped")
    for typed in ("experiments/quikstart.gin", "quickstart", "experiments/quickstart"):
        with pytest.raises(UserError, match="did you mean experiments/quickstart.gin"):
            _parse(toys, [typed])


def test_a_binary_file_is_named(toys, gin_folder):
    (gin_folder / "bad.gin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="bad.gin: not a text file"):
        _parse(toys, ["bad.gin"])


def test_an_error_leaves_nothing_behind(toys, gin_folder):
    with pytest.raises(UserError):
        _parse(toys, bindings=["train.seed = 3", "train.sed = 3"])
    assert _parse(toys).arguments(toys.train, ["seed"]) == {}


def test_an_include_is_found_beside_the_file_that_names_it(toys, gin_folder, monkeypatch):
    inner = gin_folder / "conf" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / "mine.gin").write_text("include 'inner/middle.gin'\ntrain.seed = 4\n")
    (inner / "middle.gin").write_text("include '../own.gin'\ninclude 'exp.gin'\n")
    (inner.parent / "own.gin").write_text("include 'base.gin'\nWIDTH = 8\n")
    (inner / "exp.gin").write_text("STEPS = 9\n")  # before the one in the working directory
    for place in ("conf/mine.gin", str(inner.parent / "mine.gin")):
        model, _, steps, _, _ = _trained(toys, [place])
        assert (steps, model.width) == (9, 8)
    (inner.parent / "own.gin").write_text("include '../conf/mine.gin'\n")
    with pytest.raises(UserError, match="mine.gin includes itself"):
        _parse(toys, ["conf/mine.gin"])
