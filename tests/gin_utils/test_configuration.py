"""Bindings reach the root, unused ones are errors, and a run keeps its configuration."""

import pytest

from pcvae import gin_utils
from pcvae.errors import UserError
from pcvae.gin_utils import check_run_dir


def _parse(toys, bindings=(), files=("exp.gin",)):
    return gin_utils.parse([toys.train], list(files), list(bindings))


def _unused(toys, *args, **kwargs):
    """Returns what is unused at the moment when the root has assembled its objects."""
    configuration = _parse(toys, *args, **kwargs)
    unused = []
    configuration.call(
        toys.train, run_dir="r", on_assembled=lambda: unused.extend(configuration.unused_bindings())
    )
    return unused


def test_call_builds_from_factories_and_hands_on_what_the_callback_returns(toys, gin_folder):
    result = _parse(toys).call(toys.train, run_dir="r", on_assembled=lambda: "text")
    model, dataset, steps, optimizer, text = result
    assert (model.width, model.image_shape, dataset.spec) == (16, (4, 4, 3), "synthetic")
    assert (steps, optimizer, text) == (5, None, "text")


def test_arguments_resolve_references_without_calling_the_root(toys, gin_folder):
    bound = _parse(toys).arguments(toys.train, ["model_fn", "dataset", "seed"])
    assert set(bound) == {"model_fn", "dataset"}
    assert bound["model_fn"]().width == 16
    assert bound["dataset"].spec == "synthetic"
    assert not toys.calls


def test_everything_used_is_silent(toys, gin_folder):
    assert _unused(toys) == []


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ("toy_library.optimizer.clip_norm = 1.0", "nothing built optimizer"),
        ("toy_library.Model.image_shape = (2, 2, 3)", "the program sets 'image_shape' itself"),
        ("toy_library.train.run_dir = 'x'", "the program sets 'run_dir' itself"),
        ("evaluation/toy_library.Model.blocks = '8x2'", "no call in scope 'evaluation'"),
    ],
)
def test_a_binding_that_nothing_takes_is_named(toys, gin_folder, binding, says):
    (line,) = _unused(toys, [binding])
    name = binding.partition(" =")[0]
    assert line.startswith(f"{name} (--gin.{name}")
    assert says in line


def test_check_unused_raises_one_line_with_every_name(toys, gin_folder):
    (gin_folder / "extra.gin").write_text(
        "from __gin__ import dynamic_registration\nimport toy_library\n"
        "include 'exp.gin'\nSTEPZ = 3\n"
        "toy_library.Model.name = 'm'\ntoy_library.optimizer.clip_norm = 1.0\n"
    )
    configuration = _parse(toys, files=["extra.gin"])
    with pytest.raises(UserError) as caught:
        configuration.call(toys.train, run_dir="r", on_assembled=configuration.check_unused)
    message = str(caught.value).partition("\n  In call")[0]
    assert "\n" not in message
    assert "STEPZ (extra.gin:4: no binding refers to it; did you mean STEPS" in message
    assert "toy_library.optimizer.clip_norm (extra.gin:6: nothing built optimizer)" in message
    assert "Model.name" not in message


def test_a_scoped_binding_counts_where_its_scope_is_entered(toys, gin_folder):
    bindings = ["toy_library.train.model_fn = @big/toy_library.Model", "big/Model.blocks = '8x9'"]
    assert _unused(toys, bindings) == []
    assert toys.calls[0]["model"].blocks == "8x9"


def test_a_binding_hidden_by_a_scoped_one_everywhere_is_unused(toys, gin_folder):
    bindings = [
        "toy_library.train.model_fn = @big/toy_library.Model",
        "big/Model.blocks = '8x9'",
        "Model.blocks = '8x3'",
    ]
    (line,) = _unused(toys, bindings)
    assert line.startswith("Model.blocks")


OPTIMIZER = """\
include 'exp.gin'
from __gin__ import dynamic_registration
import toy_library
toy_library.train.optimizer_fn = @toy_library.slow
toy_library.slow.rate = 2.0
toy_library.slow.schedule = @toy_library.schedule()
toy_library.schedule.power = 3.0
"""
OVERRIDES = [
    "toy_library.train.optimizer_fn = @toy_library.optimizer",
    "toy_library.Model.width = 4",
]


def test_what_an_override_orphans_is_dropped_from_the_record_too(toys, gin_folder):
    # WIDTH loses its only use, and so do the settings of an optimizer that is replaced.
    (gin_folder / "opt.gin").write_text(OPTIMIZER)
    assert _unused(toys, files=["opt.gin"]) == []
    assert _unused(toys, OVERRIDES, ["opt.gin"]) == []
    text = _parse(toys, OVERRIDES, ["opt.gin"]).text()
    for name in ("WIDTH", "slow", "schedule"):
        assert name not in text
    (gin_folder / "again.gin").write_text(text)
    assert _unused(toys, files=["again.gin"]) == []


def test_what_is_set_beside_the_override_stays_an_error(toys, gin_folder):
    (gin_folder / "opt.gin").write_text(OPTIMIZER)
    (line,) = _unused(toys, [*OVERRIDES, "toy_library.slow.rate = 1.0"], ["opt.gin"])
    assert line.startswith("toy_library.slow.rate")
    (line,) = _unused(toys, [*OVERRIDES, "WIDTH = 3"], ["opt.gin"])
    assert line.startswith("WIDTH")


def test_a_required_macro_is_not_required_once_its_use_is_overridden(toys, gin_folder):
    configuration = _parse(toys, ["toy_library.train.steps = 3"], ["base.gin"])
    assert "STEPS" not in configuration.text()
    assert configuration.call(toys.train, run_dir="r")[2] == 3


@pytest.mark.parametrize("factory", ["kwargs_python", "kwargs_keras"])
def test_a_misspelt_name_that_kwargs_hand_on_is_named_with_its_place(toys, gin_folder, factory):
    bindings = [f"toy_library.train.model_fn = @toy_library.{factory}"]
    assert _parse(toys, bindings).call(toys.train, run_dir="r")[0].width == 8
    bindings.append(f"toy_library.{factory}.widht = 4")
    with pytest.raises(UserError, match="has no parameter 'widht'; did you mean width") as caught:
        _parse(toys, bindings).call(toys.train, run_dir="r")
    assert "\n" not in str(caught.value)


def test_a_value_that_the_root_refuses_is_named_as_the_user_wrote_it(toys, gin_folder):
    def refuse(name):
        raise UserError(f"{name}: expected an integer of at least 1, got 10.0")

    says = r"steps: expected an integer of at least 1, got 10.0 \(--gin.STEPS sets STEPS\)$"
    with pytest.raises(UserError, match=says):
        _parse(toys, ["STEPS = 1e1"]).call(
            toys.train, run_dir="r", on_assembled=lambda: refuse("steps")
        )
    with pytest.raises(UserError, match=r"\(exp.gin:2 sets STEPS\)"):
        _parse(toys).call(toys.train, run_dir="r", on_assembled=lambda: refuse("steps"))
    for name in ("seed", "dataset", "other"):
        with pytest.raises(UserError, match="got 10.0\\n|got 10.0$"):
            _parse(toys).call(toys.train, run_dir="r", on_assembled=lambda n=name: refuse(n))


def test_missing_arguments_of_the_root_and_of_what_it_builds_are_named(toys, gin_folder):
    (gin_folder / "empty.gin").write_text("")
    with pytest.raises(UserError, match="train.model_fn, train.dataset, train.steps"):
        _parse(toys, files=["empty.gin"]).call(toys.train, run_dir="r")
    binding = "toy_library.train.extra = @toy_library.needs()"
    with pytest.raises(UserError, match="needs needs 'must'") as caught:
        _parse(toys, [binding]).call(toys.train, run_dir="r")
    assert "\n" not in str(caught.value)


def test_a_type_error_of_the_program_stays_one(toys, gin_folder):
    def broken():
        toys.needs()

    with pytest.raises(TypeError):
        _parse(toys).call(toys.train, run_dir="r", on_assembled=broken)


def _record(toys, run_dir, bindings=(), **kwargs):
    configuration = _parse(toys, bindings)
    configuration.call(
        toys.train,
        run_dir=run_dir,
        on_assembled=lambda: configuration.record(run_dir, **kwargs),
    )


def test_the_record_reads_back_as_the_same_configuration(toys, gin_folder):
    _record(toys, "run", ["STEPS = 9", "toy_library.from_spec.spec = 'folder:/it\\'s'"])
    text = (gin_folder / "run" / "config.gin").read_text()
    again = _parse(toys, files=["run/config.gin"])
    assert again.text() == text
    _, dataset, steps, _, _ = again.call(toys.train, run_dir="r")
    assert (steps, dataset.spec) == (9, "folder:/it's")
    assert sorted(path.name for path in (gin_folder / "run").iterdir()) == [
        "config.gin",
        "operative_config.gin",
    ]


def test_the_operative_record_holds_defaults_that_were_used(toys, gin_folder):
    _record(toys, "run", ["toy_library.train.optimizer_fn = @toy_library.optimizer"])
    text = (gin_folder / "run" / "operative_config.gin").read_text()
    assert "toy_library.optimizer.clip_norm = 200.0" in text
    assert "toy_library.train.steps = %STEPS" in text
    assert "slow" not in text


def test_a_changed_configuration_is_refused_with_its_difference(toys, gin_folder):
    _record(toys, "run")
    _record(toys, "run")
    before = (gin_folder / "run" / "config.gin").read_text()
    with pytest.raises(UserError) as caught:
        _record(toys, "run", ["STEPS = 6", "train.seed = 1"])
    message = str(caught.value).partition("\n  In call")[0]
    assert "STEPS: 5 -> 6" in message
    assert "toy_library.train.seed: not set -> 1" in message
    assert "WIDTH" not in message
    assert "--allow_config_change" in message
    assert "\n" not in message
    assert (gin_folder / "run" / "config.gin").read_text() == before
    _record(toys, "run", ["STEPS = 6"], allow_change=True)
    assert "STEPS = 6" in (gin_folder / "run" / "config.gin").read_text()


def test_a_damaged_record_is_named(toys, gin_folder):
    (gin_folder / "run").mkdir()
    (gin_folder / "run" / "config.gin").write_text("STEPS = [")
    with pytest.raises(UserError, match="config.gin is damaged"):
        _parse(toys).check_unchanged("run")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("STEPS = 'é'".encode("latin-1"), "no record of pcvae-train .it is no text.: use another"),
        (b"\xff\xfe\x00gin", "it is no text"),
        (b"[section]\nkey: value\n", "no record of pcvae-train"),
        (b"learning_rate = 0.1\nLAYERS = 3\n", "shares no name with it.*use another --run_dir"),
        (b"", "shares no name with it"),
    ],
)
def test_a_record_of_something_else_is_named_in_one_line(toys, gin_folder, content, says):
    (gin_folder / "run").mkdir()
    (gin_folder / "run" / "config.gin").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        _parse(toys).check_unchanged("run")
    assert "\n" not in str(error.value)


def test_a_long_list_of_changes_is_cut(toys, gin_folder):
    _record(toys, "run")
    with open("run/config.gin", "a") as file:
        file.writelines(f"M{i} = 1\n" for i in range(20))
    with pytest.raises(UserError, match=r"M10: 1 -> not set; .*; and 8 more\)"):
        _parse(toys).check_unchanged("run")


def test_a_folder_of_something_else_is_no_run_directory(gin_folder):
    (gin_folder / "empty" / ".hidden").mkdir(parents=True)
    for new in ("new", "new/below", "empty"):
        check_run_dir(new)
    for name in ("model.json", "b", "c", "d"):
        (gin_folder / "empty" / name).write_text("")
    with pytest.raises(UserError, match="found b, c, d and 1 more: use another --run_dir"):
        check_run_dir("empty")
    with pytest.raises(UserError, match="--run_dir=empty/b/c: .* is a file"):
        check_run_dir("empty/b/c")
    (gin_folder / "empty" / "config.gin").write_text("")
    check_run_dir("empty")


def test_markdown_shows_both_texts_as_code(toys, gin_folder):
    configuration = _parse(toys)
    text = configuration.call(toys.train, run_dir="r", on_assembled=configuration.markdown)[-1]
    assert "### config.gin" in text
    assert "    STEPS = 5" in text
    assert "    toy_library.train.seed = 0" in text.partition("### operative_config.gin")[2]


def test_the_library_is_untouched_by_registration(toys, gin_folder):
    _parse(toys, ["toy_library.Model.blocks = '8x9'"])
    assert toys.Model().blocks == "8x1"
