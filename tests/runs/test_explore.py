"""The page of pcvae-explore through Flask's test client, on a run that nobody trained."""

import base64
import io
import socket
import sys

import flask
import numpy as np
import pytest
from PIL import Image

from pcvae import data, runs, show
from pcvae.errors import UserError
from pcvae.runs import explore_page
from pcvae.runs.explore import trusted_hosts
from tests.models import tiny
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return runs.load(write_run(tmp_path_factory.mktemp("explore") / "run", "none.npz"))


@pytest.fixture(scope="module")
def client(model):
    app = explore_page.make_app(flask, model, "a <run>", trusted_hosts("127.0.0.1"))
    return app.test_client()


def picture_file(seed=0, size=(8, 8), kind="PNG"):
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue(), values[None]


def upload(content, name="a.png"):
    return io.BytesIO(content), name


def pixels(uri):
    head, _, text = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_the_page_escapes_and_asks_for_nothing_outside(client):
    text = client.get("/").text
    assert "Explore a &lt;run&gt;" in text
    assert "://" not in text
    assert "default-src 'none'" in text


def test_samples_are_those_of_the_model(client, model):
    form = {"num_samples": 3, "temperature": 0.7, "seed": 5}
    expected = show.image_grid(model.sample(3, temperature=0.7, seed=5))
    np.testing.assert_array_equal(
        pixels(client.post("/sample", data=form).json["picture"]), expected
    )


def test_prefixes_cost_their_rates_and_show_their_reconstruction(client, model):
    content, image = picture_file()
    rates_nats = model.rate_per_level(image, seed=2)[0]
    for num_levels in range(1, model.num_levels + 1):
        form = {"num_levels": num_levels, "seed": 2, "image": upload(content)}
        answer = client.post("/prefix", data=form).json
        expected = model.reconstruct(image, num_levels, seed=2)
        np.testing.assert_array_equal(pixels(answer["reconstruction"]), expected[0])
        np.testing.assert_array_equal(pixels(answer["original"]), image[0])
        bits = rates_nats[:num_levels].sum() / np.log(2)
        assert answer["rate_bits"] == pytest.approx(bits, rel=1e-6)
        assert answer["rate_bits_per_dim"] == pytest.approx(bits / 192, rel=1e-6)
        mse_of_bytes = np.mean((image.astype(float) - expected) ** 2)
        assert answer["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse_of_bytes), abs=1e-3)


def test_a_swap_of_all_levels_is_the_other_image(client, model):
    (first, _), (second, image) = picture_file(0), picture_file(1)
    form = {"first_level": 0, "last_level": model.num_levels - 1, "below": "keep"}
    form |= {"seed": 4, "temperature": 0, "first": upload(first), "second": upload(second)}
    answer = client.post("/swap", data=form).json
    np.testing.assert_array_equal(pixels(answer["swapped"]), model.reconstruct(image, seed=4)[0])


def test_another_size_is_cropped_and_resized_with_a_note(client, model):
    content, _ = picture_file(size=(40, 20), kind="JPEG")
    form = {"num_levels": 1, "seed": 0, "image": upload(content, "wide.jpg")}
    answer = client.post("/prefix", data=form).json
    assert answer["notes"] == ["wide.jpg: 40x20, cropped to the centred square and resized to 8x8"]
    expected, _ = data.read_upload(io.BytesIO(content), "wide.jpg", model.image_shape)
    np.testing.assert_array_equal(pixels(answer["original"]), expected[0])


PREFIX = {"num_levels": 1, "seed": 0}
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no picture", "expected a PNG, JPEG or WebP picture"),
        (b"", "expected a PNG, JPEG or WebP picture"),
        (EPS, "expected a PNG, JPEG or WebP picture"),
        (picture_file(kind="GIF")[0], "expected a PNG, JPEG or WebP picture"),
        (picture_file(size=(64, 64))[0][:2000], "cannot be decoded as a picture"),
        (None, "choose a PNG, JPEG or WebP picture"),
    ],
)
def test_a_bad_upload_is_one_line(client, content, says):
    form = {"num_levels": 1, "seed": 0}
    if content is not None:
        form["image"] = upload(content)
    answer = client.post("/prefix", data=form)
    assert answer.status_code == 400
    assert says in answer.json["error"]
    assert "\n" not in answer.json["error"]


def test_uploads_are_bounded(client, monkeypatch):
    large = upload(bytes(explore_page.MAX_UPLOAD_BYTES + 1))
    answer = client.post("/prefix", data={"num_levels": 1, "seed": 0, "image": large})
    assert answer.status_code == 413
    assert answer.json == {"error": "expected at most 16 MiB in all"}
    monkeypatch.setattr(data.read, "MAX_UPLOAD_PIXELS", 63)
    form = {"num_levels": 1, "seed": 0, "image": upload(picture_file()[0])}
    assert "expected at most 63 pixels, got 8x8" in client.post("/prefix", data=form).json["error"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": "x"}, "seed: expected an integer, got 'x'"),
        ({"seed": -1}, "seed"),
        ({"num_samples": 65}, "num_samples"),
        ({"temperature": "nan"}, "temperature: expected a number from 0 to 1000"),
        ({"temperature": ""}, "temperature: expected a number, got ''"),
    ],
)
def test_bad_numbers_are_one_line(client, change, says):
    form = {"num_samples": 1, "temperature": 1, "seed": 0, **change}
    answer = client.post("/sample", data=form)
    assert answer.status_code == 400
    assert says in answer.json["error"]


def test_a_conditional_model_shows_what_follows_from_a_picture():
    app = explore_page.make_app(flask, tiny.conditional(condition_shape=(2, 2, 3)), "run")
    client = app.test_client()
    assert "shows prefixes of an image" in client.get("/").text
    assert "image: choose" in client.post("/prefix", data=PREFIX).json["error"]  # not refused
    for name in ("sample", "swap"):
        answer = client.post(f"/{name}", data={})
        assert answer.status_code == 400
        assert "pcvae-sample --condition" in answer.json["error"]
    with pytest.raises(UserError, match="takes integer labels from 0 to 2 as a condition"):
        explore_page.make_app(flask, tiny.conditional(condition="label", num_classes=3), "run")


def test_another_name_of_this_machine_is_not_answered(client):
    assert client.get("/", headers={"Host": "somewhere.example"}).status_code == 400
    assert trusted_hosts("0.0.0.0") is None


def test_a_taken_port_is_told_before_the_run_is_read(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port={port}: address already in use; --port=0"):
            runs.explore(run_dir=tmp_path, port=port)


def test_without_flask_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(UserError, match=r"pip install 'pcvae\[explore\]'"):
        runs.explore(run_dir=tmp_path)
